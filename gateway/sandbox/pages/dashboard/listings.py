"""Which lists the dashboard has and what their columns say: one registry, read by one route and one template."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from gateway.sandbox.billing.hosted_links import path
from gateway.sandbox.core.ports import Sandbox
from gateway.sandbox.pages import formats
from gateway.sandbox.pages.labels import TONES

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one place of a table: a text, perhaps linked, as a pill of a tone, in fixed width, or to copy."""

    text: str
    href: str | None = None
    tone: str | None = None
    mono: bool = False
    copy: bool = False


@dataclass(frozen=True, slots=True)
class RenderContext:
    """What a column may look at beside its object."""

    sandbox: Sandbox
    locale: str

    def money(self, amount: int | None, currency: str | None) -> Cell:
        """Return an amount."""
        return Cell(formats.money(amount, currency, self.locale))

    def date(self, timestamp: int | None) -> Cell:
        """Return a day."""
        return Cell(formats.date(timestamp, self.locale))

    def customer(self, id: str | None) -> Cell:
        """Return a customer by e-mail or name, linked."""
        found = self.sandbox.store.get("customer", id) if id else None
        if not found:
            return Cell(id or formats.NOTHING, mono=bool(id))
        return Cell(found["email"] or found["name"] or found["id"], f"/customers/{found['id']}")

    def product_name(self, price: Json) -> str:
        """Return the name of a price's product."""
        product = self.sandbox.store.get("product", price["product"])
        return str(product["name"]) if product else str(price["product"])


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading and what it says of an object; ``style`` is "number", "wide" or nothing."""

    label: str
    cell: Callable[[RenderContext, Json], Cell]
    style: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of one kind of object."""

    path: str
    label: str
    kind: str
    columns: tuple[Column, ...]
    empty: str

    def rows(self, context: RenderContext, objects: list[Json]) -> list[list[Cell]]:
        """Return the cells of each object."""
        return [[column.cell(context, obj) for column in self.columns] for obj in objects]

    def search(self, sandbox: Sandbox, text: str, after: str | None, **equals: str) -> Iterator[Json]:
        """Yield the objects, newest first, in whose JSON every word of the text occurs, with these values."""
        words = [word.lower() for word in text.split()]
        for obj in sandbox.store.scan(self.kind, after=after, **equals):
            said = str(obj).lower() if words else ""
            if all(word in said for word in words):
                yield obj


def page_of(obj: Json) -> str:
    """Return the dashboard's page of an object."""
    pages = {"customer": "/customers/", "subscription": "/subscriptions/", "event": "/events/"}
    return f"{pages.get(obj['object'], '/objects/')}{obj['id']}"


def status(value: str) -> Cell:
    """Return a status as a pill."""
    return Cell(formats.words(value), tone=TONES.get(value, ""))


def _id(_scene: RenderContext, obj: Json) -> Cell:
    return Cell(obj["id"], page_of(obj), mono=True)


def _created(context: RenderContext, obj: Json) -> Cell:
    return context.date(obj["created"])


def _status(_scene: RenderContext, obj: Json) -> Cell:
    return status(obj["status"])


def _subscription_plan(context: RenderContext, obj: Json) -> Cell:
    items = obj["items"]["data"]
    names = [context.product_name(item["price"]) + _times(item.get("quantity")) for item in items]
    return Cell(", ".join(names), page_of(obj))


def _times(quantity: int | None) -> str:
    return f" {formats.TIMES} {quantity}" if quantity and quantity > 1 else ""


def _period_end(context: RenderContext, obj: Json) -> Cell:
    ends = [item["current_period_end"] for item in obj["items"]["data"]]
    return context.date(min(ends, default=None))


def _amounts(context: RenderContext, product: Json) -> Cell:
    prices = [price for price in context.sandbox.store.find("price", product=product["id"]) if price["active"]]
    prices.sort(key=lambda price: price["unit_amount"] or 0)
    return Cell(", ".join(formats.price(price, context.locale) for price in prices) or formats.NOTHING)


def _counted(context: RenderContext, meter: Json) -> Cell:
    events = context.sandbox.store.ids("billing.meter_event", event_name=meter["event_name"])
    return Cell(str(len(events)), f"/meter-events?{urlencode({'q': meter['event_name']})}")


def _value(context: RenderContext, event: Json) -> Cell:
    meter = context.sandbox.store.first("billing.meter", event_name=event["event_name"])
    name = meter["value_settings"]["event_payload_key"] if meter else "value"
    return Cell(str(event["payload"].get(name, formats.NOTHING)))


CUSTOMERS = Listing(
    "/customers",
    "Customers",
    "customer",
    (
        Column("Customer", lambda context, obj: context.customer(obj["id"])),
        Column("Name", lambda _, obj: Cell(obj["name"] or formats.NOTHING)),
        Column(
            "Subscriptions",
            lambda context, obj: Cell(str(len(context.sandbox.store.ids("subscription", customer=obj["id"])))),
            style="number",
        ),
        Column("Created", _created),
        Column("Id", _id),
    ),
    "No customers yet. A checkout makes one.",
)
SUBSCRIPTIONS = Listing(
    "/subscriptions",
    "Subscriptions",
    "subscription",
    (
        Column("Plan", _subscription_plan),
        Column("Customer", lambda context, obj: context.customer(obj["customer"])),
        Column("Status", _status),
        Column("Renews or ends", _period_end),
        Column("Created", _created),
    ),
    "No subscriptions yet. Open a checkout session in subscription mode.",
)
INVOICES = Listing(
    "/invoices",
    "Invoices",
    "invoice",
    (
        Column("Number", lambda context, obj: Cell(obj["number"] or "Draft", path(obj, context.sandbox.now(obj)))),
        Column("Customer", lambda context, obj: context.customer(obj["customer"])),
        Column("Total", lambda context, obj: context.money(obj["total"], obj["currency"]), style="number"),
        Column("Status", _status),
        Column("Created", _created),
        Column("Id", _id),
    ),
    "No invoices yet.",
)
PRODUCTS = Listing(
    "/products",
    "Products",
    "product",
    (
        Column("Product", lambda _, obj: Cell(obj["name"], page_of(obj))),
        Column("Prices", _amounts, style="wide"),
        Column("Status", lambda _, obj: status("active" if obj["active"] else "archived")),
        Column("Id", _id),
    ),
    "No products yet. Create one through the API.",
)
PRICES = Listing(
    "/prices",
    "Prices",
    "price",
    (
        Column("Product", lambda context, obj: Cell(context.product_name(obj), f"/objects/{obj['product']}")),
        Column("Price", lambda context, obj: Cell(formats.unit_money(obj, context.locale)), style="number"),
        Column("Charged", lambda _, obj: Cell(formats.per(obj["recurring"]) or "once")),
        Column("Lookup key", lambda _, obj: Cell(obj["lookup_key"] or formats.NOTHING, mono=True)),
        Column("Status", lambda _, obj: status("active" if obj["active"] else "archived")),
        Column("Id", _id),
    ),
    "No prices yet.",
)
SESSIONS = Listing(
    "/checkouts",
    "Checkouts",
    "checkout.session",
    (
        Column("Session", lambda _, obj: Cell(f"{obj['id'][:20]}…", page_of(obj), mono=True)),
        Column("Mode", lambda _, obj: Cell(formats.words(obj["mode"]))),
        Column("Total", lambda context, obj: context.money(obj["amount_total"], obj["currency"]), style="number"),
        Column("Status", _status),
        Column("Created", _created),
        Column("", lambda _, obj: Cell("Open page", f"/c/pay/{obj['id']}") if obj["status"] == "open" else Cell("")),
    ),
    "No checkout sessions yet. Create one with POST /v1/checkout/sessions.",
)

METERS = Listing(
    "/meters",
    "Meters",
    "billing.meter",
    (
        Column("Meter", lambda _, obj: Cell(obj["display_name"], page_of(obj))),
        Column("Event name", lambda _, obj: Cell(obj["event_name"], mono=True)),
        Column("Makes of its events", lambda _, obj: Cell(formats.words(obj["default_aggregation"]["formula"]))),
        Column("Events", _counted, style="number"),
        Column("Status", _status),
    ),
    "No meters yet. Create one with POST /v1/billing/meters.",
)
METER_EVENTS = Listing(
    "/meter-events",
    "Meter events",
    "billing.meter_event",
    (
        Column("Event name", lambda _, obj: Cell(obj["event_name"], mono=True)),
        Column("Customer", lambda context, obj: context.customer(obj["_customer"])),
        Column("Value", _value, style="number"),
        Column("For", lambda context, obj: context.date(obj["timestamp"])),
        Column("Status", lambda _, obj: status("canceled" if obj.get("_canceled") else "counted")),
        Column("Identifier", lambda _, obj: Cell(obj["identifier"], mono=True)),
    ),
    "No meter events yet. Send one with POST /v1/billing/meter_events.",
)

_ALL = CUSTOMERS, SUBSCRIPTIONS, INVOICES, PRODUCTS, PRICES, METERS, METER_EVENTS, SESSIONS
LISTINGS = {listing.path: listing for listing in _ALL}
TABS = {each.path: pair for pair in ((PRODUCTS, PRICES), (METERS, METER_EVENTS)) for each in pair}
"""Lists that stand behind the tabs of one section, the first one's."""
