"""Read one object from Stripe whole, and lists to their end."""

from dataclasses import replace
from typing import Any

from gateway.mirror.mapping import Json
from gateway.mirror.reader import Reader
from gateway.mirror.resources import Resource
from gateway.stripe_api.client import Stripe, StripeResponse


async def fetch(stripe: Stripe | Reader, resource: Resource, id: str) -> StripeResponse:
    """Read one object whole: with the fields that must be asked for, and with every page of its embedded lists."""
    if resource.owner:
        return await _fetch_list(stripe, resource, id)
    expand = [*resource.expand, *resource.expanded]
    answer = await stripe.get(f"{resource.path}/{id}", **({"expand": expand} if expand else {}))
    for name in resource.lists:
        page = answer.object.get(name) or {}
        while page.get("has_more"):
            more = await stripe.get(page["url"], limit=100, starting_after=page["data"][-1]["id"])
            page = {**page, "data": page["data"] + more.object["data"], "has_more": more.object["has_more"]}
            answer.object[name] = page
    if resource.beside and not answer.object.get("deleted"):
        name, path = resource.beside
        listed, found, _ = await _read_list(stripe, f"{resource.path}/{id}/{path}")
        answer = replace(answer, staleness_seconds=listed.as_of - answer.as_of + answer.staleness_seconds)
        answer = replace(answer, as_of=listed.as_of, object={**answer.object, name: {"data": found}})
    return answer


async def _fetch_list(stripe: Stripe | Reader, resource: Resource, id: str) -> StripeResponse:
    """Read the whole list of an owner as one object, which bears the owner's id."""
    answer, found, began = await _read_list(stripe, resource.path, **{str(resource.owner): id})
    whole = {"object": resource.kind, "id": id, str(resource.owner): id, resource.lists[0]: {"data": found}}
    return replace(answer, object=whole, staleness_seconds=answer.as_of - began)


async def _read_list(stripe: Stripe | Reader, path: str, **params: Any) -> tuple[StripeResponse, list[Json], int]:
    """Read a whole list, page by page: the answer with the last one, all objects, and when the first was asked for."""
    answer = await stripe.get(path, **params, limit=100)
    found, began = answer.object["data"], answer.as_of - answer.staleness_seconds
    while answer.object["has_more"]:
        answer = await stripe.get(path, **params, limit=100, starting_after=found[-1]["id"])
        found = found + answer.object["data"]
    return answer, found, began
