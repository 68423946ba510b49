"""The dashboard's pages of one object: event, customer, subscription, and any other as JSON."""

import re
from typing import Any

from markupsafe import Markup, escape
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.sandbox.billing.subscriptions import FINAL
from gateway.sandbox.core.expand import public
from gateway.sandbox.core.objects import clock_of
from gateway.sandbox.core.registry import kind_of_id
from gateway.sandbox.events.endpoints import wants
from gateway.sandbox.pages import formats, site
from gateway.sandbox.pages.calls import need
from gateway.sandbox.pages.dashboard import timeline
from gateway.sandbox.pages.dashboard.events import attempts_of
from gateway.sandbox.pages.dashboard.frame import context_of, page, table
from gateway.sandbox.pages.dashboard.listings import (
    INVOICES,
    SUBSCRIPTIONS,
    Cell,
    Column,
    RenderContext,
    page_of,
    status,
)
from gateway.sandbox.pages.labels import method_name
from gateway.sandbox.scenes import SCENES

Json = dict[str, Any]

_TIMELINE_LENGTH = 100
# On the page of a customer or subscription it is clear whose invoices these are.
_INVOICES = tuple(column for column in INVOICES.columns if column.label not in ("Customer", "Id"))
_SUBSCRIPTIONS = tuple(column for column in SUBSCRIPTIONS.columns if column.label != "Customer")
_ITEMS = (
    Column("Product", lambda context, obj: Cell(context.product_name(obj["price"]))),
    Column("Price", lambda context, obj: Cell(formats.price(obj["price"], context.locale))),
    Column("Quantity", lambda _, obj: Cell(str(obj.get("quantity") or "by usage")), style="number"),
)
_METHODS = (
    Column("Method", lambda _, obj: Cell(method_name(obj), page_of(obj))),
    Column("Expires", lambda _, obj: Cell(_expiry(obj))),
)
_ID_IN_JSON = re.compile(r"&#34;([a-z]+(?:_[a-z]+)*_[A-Za-z0-9]{8,})&#34;")


def routes() -> list[Route]:
    """Return the pages of single objects."""
    return [
        site.view("/events/{id}", event),
        site.view("/customers/{id}", customer),
        site.view("/subscriptions/{id}", subscription),
        site.view("/objects/{id}", anything),
    ]


async def event(http: Request) -> Response:
    """Show one event: its payload and where it was delivered."""
    found, context = need(http, "event"), context_of(http)
    subject = found["data"]["object"]
    return page(
        http,
        "event.html",
        section="/events",
        event=found,
        subject=page_of(subject) if subject.get("id") else None,
        attempts=attempts_of(context, found),
        heard=any(wants(each, found) for each in context.sandbox.store.scan("webhook_endpoint")),
        payload=linked_json(found),
    )


async def customer(http: Request) -> Response:
    """Show one customer: subscriptions, invoices, payment methods and history."""
    found, context = need(http, "customer"), context_of(http)
    store, key = context.sandbox.store, found["id"]
    subscriptions = store.find("subscription", customer=key)
    invoices = store.find("invoice", customer=key)
    methods = store.find("payment_method", customer=key)
    related = [obj["id"] for obj in (*subscriptions, *invoices, *methods)]
    return page(
        http,
        "customer.html",
        section="/customers",
        title=found["email"] or found["name"] or key,
        customer=found,
        scenes={} if found.get("test_clock") else SCENES,
        payload=linked_json(found),
        days=history(context, key, *related),
        **table(context, "subscription", _SUBSCRIPTIONS, subscriptions),
        **table(context, "invoice", _INVOICES, invoices),
        **table(context, "method", _METHODS, methods),
    )


async def subscription(http: Request) -> Response:
    """Show one subscription: its items, invoices and timeline."""
    found, context = need(http, "subscription"), context_of(http)
    items, clock = found["items"]["data"], clock_of(context.sandbox.store, found)
    candidates = context.sandbox.store.find("invoice", customer=found["customer"])
    invoices = [invoice for invoice in candidates if subscription_of(invoice) == found["id"]]
    period_end = min((item["current_period_end"] for item in items), default=None)
    ahead = period_end is not None and period_end > context.sandbox.now()
    return page(
        http,
        "subscription.html",
        section="/subscriptions",
        title=", ".join(context.product_name(item["price"]) for item in items) or found["id"],
        subscription=found,
        state=status(found["status"]),
        customer=context.customer(found["customer"]),
        period_start=min((item["current_period_start"] for item in items), default=None),
        period_end=period_end,
        # A test clock has its own time, which its owner moves through the API.
        jump_to=period_end if ahead and not clock and found["status"] not in FINAL else None,
        payload=linked_json(found),
        days=history(context, found["id"], *(invoice["id"] for invoice in invoices)),
        **table(context, "item", _ITEMS, items),
        **table(context, "invoice", _INVOICES, invoices),
    )


async def anything(http: Request) -> Response:
    """Show any object as JSON in which every id leads on, with its history."""
    key = http.path_params["id"]
    kind = kind_of_id(key)
    if kind is None:
        raise HTTPException(404, f"No kind of object has ids like {key}.")
    found, context = need(http, kind), context_of(http)
    return page(
        http,
        "object.html",
        section="",
        title=found.get("name") or found.get("number") or key,
        kind=formats.words(kind),
        payload=linked_json(found),
        days=history(context, key),
    )


def history(context: RenderContext, *ids: str) -> list[tuple[str, list[Json]]]:
    """Return the events about some objects, newest first, by day."""
    store = context.sandbox.store
    about = {event["id"]: event for key in ids for event in store.find("event", _object=key)}
    in_order = [about[key] for key in store.ids("event") if key in about]
    return timeline.by_day(in_order[:_TIMELINE_LENGTH], context.locale)


def subscription_of(invoice: Json) -> str | None:
    """Return the id of the subscription that an invoice bills."""
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    key: str | None = details.get("subscription")
    return key


def linked_json(obj: Json) -> Markup:
    """Return the public form of an object as indented JSON in which every known id is a link."""

    def link(match: re.Match[str]) -> str:
        key = match[1]
        return f'&#34;<a href="/objects/{key}">{key}</a>&#34;' if kind_of_id(key) else match[0]

    text = str(escape(formats.pretty(public(obj))))
    return Markup(_ID_IN_JSON.sub(link, text))  # noqa: S704 -- escaped above; ids are letters and digits


def _expiry(method: Json) -> str:
    card = method.get("card")
    return f"{card['exp_month']:02d} / {card['exp_year']}" if card else formats.NOTHING
