"""Event destinations and thin events: the v2 API. https://docs.stripe.com/api/v2/core/event-destinations.

A destination is kept as the webhook endpoint that it is, and shown in the form of v2.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from gateway.sandbox.api.routing import route
from gateway.sandbox.core.errors import invalid, parameter_missing, resource_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.events.thin import iso, snapshot_id, thin, thin_type
from gateway.sandbox.resources.webhook_endpoints import check_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

_LIMIT = 20


@route("POST", "/v2/core/event_destinations", params="v2.core.EventDestinationCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a destination; `include` must ask for the secret, which is shown this once."""
    params = request.params
    if params["type"] != "webhook_endpoint":
        raise invalid("The sandbox delivers to webhook endpoints only.", "type")
    if "webhook_endpoint" not in params:
        raise parameter_missing("webhook_endpoint")
    check_url(params["webhook_endpoint"]["url"])
    endpoint = {
        "object": "webhook_endpoint",
        "id": sandbox.new_id("ed_test"),
        "api_version": params.get("snapshot_api_version"),
        "enabled_events": params["enabled_events"],
        "description": params.get("description", ""),
        "metadata": params.get("metadata", {}),
        "status": "enabled",
        "url": params["webhook_endpoint"]["url"],
        "_destination": params["name"],
        "_payload": params["event_payload"],
        "_secret": sandbox.deliveries.new_secret(),
    }
    return _shown(sandbox.create(endpoint), params.get("include", ()))


@route("GET", "/v2/core/event_destinations", params="v2.core.EventDestinationListParams", also=("page",))
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List destinations."""
    include = request.params.get("include", ())
    return _page(request, [_shown(each, include) for each in sandbox.store.find("webhook_endpoint") if _is_one(each)])


@route("GET", "/v2/core/event_destinations/{id}", params="v2.core.EventDestinationRetrieveParams")
def retrieve(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Retrieve a destination."""
    return _shown(_need(sandbox, id), request.params.get("include", ()))


@route("POST", "/v2/core/event_destinations/{id}", params="v2.core.EventDestinationUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change a destination."""
    params = request.params
    endpoint = merge(_need(sandbox, id), params, "description", "enabled_events", "metadata")
    endpoint["_destination"] = params.get("name", endpoint["_destination"])
    if "webhook_endpoint" in params:
        check_url(params["webhook_endpoint"]["url"])
        endpoint["url"] = params["webhook_endpoint"]["url"]
    return _shown(sandbox.store.put(endpoint), params.get("include", ()))


@route("DELETE", "/v2/core/event_destinations/{id}")
def delete(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Delete a destination."""
    sandbox.remove(_need(sandbox, id))
    return {"id": id, "object": "v2.core.event_destination"}


@route("POST", "/v2/core/event_destinations/{id}/disable", params="v2.core.EventDestinationDisableParams")
def disable(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Stop delivering."""
    endpoint = sandbox.store.put({**_need(sandbox, id), "status": "disabled"})
    return _shown(endpoint, request.params.get("include", ()))


@route("POST", "/v2/core/event_destinations/{id}/enable", params="v2.core.EventDestinationEnableParams")
def enable(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Deliver again."""
    endpoint = sandbox.store.put({**_need(sandbox, id), "status": "enabled"})
    return _shown(endpoint, request.params.get("include", ()))


@route("GET", "/v2/core/events", params="v2.core.EventListParams", also=("page",))
def events(sandbox: Sandbox, request: Request) -> Obj:
    """List thin events, of an object (`object_id`), of some `types`, of a time."""
    params = request.params
    found = (
        sandbox.store.scan("event", _object=params["object_id"])
        if "object_id" in params
        else sandbox.store.scan("event")
    )
    types = params.get("types")
    bounds = {name: datetime.fromisoformat(value).timestamp() for name, value in params.get("created", {}).items()}
    chosen = [
        thin(event)
        for event in found
        if (not types or thin_type(event["type"]) in types)
        and bounds.get("gt", -1) < event["created"] < bounds.get("lt", 2**62)
        and bounds.get("gte", 0) <= event["created"] <= bounds.get("lte", 2**62)
    ]
    return _page(request, chosen)


@route("GET", "/v2/core/events/{id}")
def event(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a thin event."""
    found = sandbox.store.get("event", snapshot_id(id))
    if found is None:
        raise resource_missing("event", id)
    return thin(found)


def _need(sandbox: Sandbox, id: str) -> Obj:
    endpoint = sandbox.store.get("webhook_endpoint", id)
    if endpoint is None or not _is_one(endpoint):
        raise resource_missing("event destination", id)
    return endpoint


def _is_one(endpoint: Obj) -> bool:
    return "_destination" in endpoint


def _shown(endpoint: Obj, include: Iterable[str]) -> Obj:
    asked = set(include)
    secrets = {"signing_secret": endpoint["_secret"], "url": endpoint["url"]}
    return {
        "id": endpoint["id"],
        "object": "v2.core.event_destination",
        "created": iso(endpoint["created"]),
        "description": endpoint["description"],
        "enabled_events": endpoint["enabled_events"],
        "event_payload": endpoint["_payload"],
        "events_from": ["@self"],
        "livemode": False,
        "metadata": endpoint["metadata"],
        "name": endpoint["_destination"],
        "snapshot_api_version": endpoint["api_version"],
        "status": endpoint["status"],
        "status_details": None if endpoint["status"] == "enabled" else {"disabled": {"reason": "user"}},
        "type": "webhook_endpoint",
        "updated": iso(endpoint["created"]),
        "webhook_endpoint": {
            name: secrets[name] if f"webhook_endpoint.{name}" in asked else None for name in ("signing_secret", "url")
        },
    }


def _page(request: Request, objects: list[Obj]) -> Obj:
    """Return the list of the v2 API; the url of the next page says where it begins."""
    start = int(request.params.get("page", 0))
    limit = request.params.get("limit", _LIMIT)
    more = start + limit < len(objects)
    url = f"{request.path}?limit={limit}&page={start + limit}"
    return {"data": objects[start : start + limit], "next_page_url": url if more else None, "previous_page_url": None}
