"""Webhook endpoints. https://docs.stripe.com/api/webhook_endpoints."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.core.errors import invalid
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("webhook_endpoint", "we", "webhook endpoint")


@route("POST", "/v1/webhook_endpoints", params="WebhookEndpointCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create an endpoint; this answer is the only one that shows the secret."""
    check_url(request.params["url"])
    secret = sandbox.deliveries.new_secret()
    endpoint: Obj = {
        "object": "webhook_endpoint",
        "api_version": None,
        "metadata": {},
        "status": "enabled",
        "_secret": secret,
    }
    return {**sandbox.create(merge(endpoint, request.params)), "secret": secret}


@route("GET", "/v1/webhook_endpoints", params="WebhookEndpointListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List endpoints."""
    return page(sandbox, request, "webhook_endpoint", lambda each: not each.keys() & {"_destination", "_listener"})


@route("GET", "/v1/webhook_endpoints/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve an endpoint."""
    return sandbox.need("webhook_endpoint", id)


@route("POST", "/v1/webhook_endpoints/{id}", params="WebhookEndpointUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change an endpoint; `disabled` switches it off or on."""
    params = dict(request.params)
    if "url" in params:
        check_url(params["url"])
    disabled = params.pop("disabled", None)
    endpoint = merge(sandbox.need("webhook_endpoint", id), params)
    if disabled is not None:
        endpoint["status"] = "disabled" if disabled else "enabled"
    return sandbox.store.put(endpoint)


@route("DELETE", "/v1/webhook_endpoints/{id}")
def delete(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Delete an endpoint; what was not delivered yet is forgotten."""
    return sandbox.remove(sandbox.need("webhook_endpoint", id))


def roll_secret(sandbox: Sandbox, id: str, expires_in: int) -> Obj:
    """Give an endpoint a new secret; the old one signs beside it for `expires_in` seconds. The dashboard does this."""
    endpoint = sandbox.need("webhook_endpoint", id)
    secret = sandbox.deliveries.new_secret()
    former = {"_former_secret": endpoint["_secret"], "_former_until": time.time() + expires_in}
    return {**sandbox.store.put({**endpoint, **former, "_secret": secret}), "secret": secret}


def check_url(url: str) -> None:
    """Refuse what no event can be sent to."""
    target = urlsplit(url)
    if target.scheme not in ("http", "https") or not target.hostname:
        raise invalid("Invalid URL: An explicit scheme (such as https) must be provided.", "url", "url_invalid")
