"""One registry: which Stripe object goes into which table. How its fields become columns: `mapping.py` and the like.

A payload that cannot be read raises `Unreadable`; the object is then fetched at the pinned version, not guessed.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlmodel import SQLModel

from gateway.mirror import invoice_mapping
from gateway.mirror import mapping as columns
from gateway.mirror.accounts import key_of, set_apart
from gateway.mirror.mapping import Json
from gateway.mirror.schedules import subscription_schedule
from gateway.models.columns import Mirrored
from gateway.models.mirrored import (
    Charge,
    CheckoutSession,
    Coupon,
    CreditNote,
    Customer,
    Discount,
    Dispute,
    EntitlementSummary,
    Invoice,
    InvoicePayment,
    Meter,
    PaymentMethod,
    Price,
    Product,
    PromotionCode,
    Refund,
    Subscription,
    SubscriptionItem,
    SubscriptionSchedule,
)
from gateway.models.statuses import FINAL

LARGEST = 2**63  # of the databases' integers


class Unreadable(Exception):
    """The payload has not the shape that the mapping knows, or is not whole; fetch the object instead."""


def wrong_columns(model: type[SQLModel], read: Json) -> list[str]:
    """Return the columns whose values are not of their type, which no database refuses once they come as JSON."""
    kinds, required = _kinds(model)
    return [
        name
        for name, value in read.items()
        if (
            name in required
            if value is None
            else name in kinds
            and (
                ((kind := type(value)) is not kinds[name] and not (kinds[name] is dict and isinstance(value, dict)))
                or (kind is str and "\0" in value)
                or (kind is int and not -LARGEST < value < LARGEST)
            )
        )
    ]


@cache
def _kinds(model: type[SQLModel]) -> tuple[dict[str, type], frozenset[str]]:
    """Return the Python type of each column, of JSON only metadata's, and the columns that must have a value."""
    kinds: dict[str, type] = {"meta": dict}
    required = set()
    for column in model.metadata.tables[str(model.__tablename__)].c:
        kind = column.type.impl_instance if isinstance(column.type, sa.TypeDecorator) else column.type
        if not isinstance(kind, sa.JSON):
            kinds[column.name] = kind.python_type
        if not column.nullable:
            required.add(column.name)
    return kinds, frozenset(required)


@dataclass(frozen=True, slots=True)
class Resource:
    """How one kind of Stripe object is mirrored.

    Args:
        kind: Stripe's `object`.
        table: where it goes.
        path: its list; `{path}/{id}` is the object. Empty where Stripe reads none: it comes with others, and never
            changes.
        columns: the pure mapping from payload to columns.
        expand: fields that Stripe only sends when they are asked for.
        expanded: references that are expanded when the object is read, because what they lead to is mirrored as well.
        list_params: what a full list must ask for beside that.
        lists: embedded lists that a payload may cut short (`has_more`).
        final_statuses: statuses that nothing follows.
        named_by_seller: whether the seller may choose the id, so that a new object can have that of a deleted one
            (Stripe API, "Create a product", "Create a coupon", "Create a plan": `id`).
        immutable: columns that Stripe never changes, so that no event writes them again: SQLite would rewrite their
            index entries each time.
        synced: whether `gateway sync` reads the whole list; the others come with their events.
        owner: the parameter that names whose list `path` is, for a kind that is itself the list of its owner.
        beside: a list that Stripe keeps beside an object, as its name here and its path below the object's.
        probe_path: the list of what an owner's list or one beside is made of; where it is empty there is nothing to
            read.
    """

    kind: str
    table: type[Mirrored]
    path: str
    columns: Callable[[Json], Json]
    expand: tuple[str, ...] = ()
    expanded: tuple[str, ...] = ()
    list_params: Mapping[str, Any] = field(default_factory=dict)
    lists: tuple[str, ...] = ()
    final_statuses: tuple[str, ...] = ()
    named_by_seller: bool = False
    immutable: tuple[str, ...] = ()
    synced: bool = True
    owner: str | None = None
    beside: tuple[str, str] | None = None
    probe_path: str | None = None

    def id_of(self, obj: Json, account: str | None = None) -> str:
        """Return the id of an object of this kind: its own, or its owner's where Stripe gives it none.

        Args:
            obj: the object.
            account: the connected account that has it.
        """
        found: str = obj["id"] if self.owner is None else obj.get("id") or obj[self.owner]
        return key_of(account, found)

    def list_all(self) -> Json:
        """Return the parameters with which the list gives every object, whole, with what is expanded."""
        expand = [f"data.{name}" for name in (*self.expand, *self.expanded)]
        return {**self.list_params, **({"expand": expand} if expand else {})}

    def read(self, obj: Json, account: str | None = None) -> Json:
        """Return the columns of a payload.

        Args:
            obj: the payload.
            account: the connected account that has the object.

        Raises:
            Unreadable: when it has not the known shape.
        """
        try:
            read = self.columns(obj)
        except (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError, OSError) as error:
            raise Unreadable(f"{self.kind} {obj.get('id')}: {type(error).__name__} {error}") from error
        cut_short = [name for name in self.lists if (obj.get(name) or {}).get("has_more")]
        if cut_short:
            raise Unreadable(f"{self.kind} {obj.get('id')}: {', '.join(cut_short)} is not whole")
        wrong = wrong_columns(self.table, read)
        for item in read.get("_items", ()):
            wrong += wrong_columns(SubscriptionItem, item)
        if wrong:
            raise Unreadable(f"{self.kind} {obj.get('id')}: {', '.join(wrong)} is of another type")
        return set_apart(account, read) if account else read

    def embedded(self, obj: Json) -> Iterator[Json]:
        """Yield the mirrored objects that came expanded within `obj`."""
        for path in self.expanded:
            found: list[Any] = [obj]
            for name in path.split("."):
                found = [one for each in found if isinstance(each, dict) for one in _listed(each.get(name))]
            for each in found:
                if isinstance(each, dict) and each.get("object") in RESOURCES and not each.get("deleted"):
                    yield each


def _listed(value: Any) -> list[Any]:
    """Return what a reference leads to: one object, a list of them, or Stripe's list."""
    if isinstance(value, dict) and value.get("object") == "list":
        value = value["data"]
    return value if isinstance(value, list) else [value]


_AMOUNTS = "tiers", "currency_options"

RESOURCES: dict[str, Resource] = {
    resource.kind: resource
    for resource in (
        Resource(
            "product",
            Product,
            "/v1/products",
            columns.product,
            beside=("entitlement_features", "features"),
            probe_path="/v1/entitlements/features",
            named_by_seller=True,
        ),
        Resource("price", Price, "/v1/prices", columns.price, expand=_AMOUNTS, named_by_seller=True),
        Resource(
            "plan", Price, "/v1/prices", columns.plan, expand=_AMOUNTS, synced=False, named_by_seller=True
        ),  # its own list is the prices'
        Resource(
            "customer",
            Customer,
            "/v1/customers",
            columns.customer,
            expanded=("invoice_settings.default_payment_method",),
        ),
        Resource("payment_method", PaymentMethod, "/v1/payment_methods", columns.payment_method, synced=False),
        Resource(
            "checkout.session",
            CheckoutSession,
            "/v1/checkout/sessions",
            columns.checkout_session,
            expand=("line_items",),
            expanded=(
                "customer",
                "invoice",
                "subscription",
                "subscription.default_payment_method",
                "payment_intent.payment_method",
                "setup_intent.payment_method",
            ),
            lists=("line_items",),  # "the first handful" of them comes with the session; they are in no event
            final_statuses=("expired",),
        ),
        Resource(
            "subscription",
            Subscription,
            "/v1/subscriptions",
            columns.subscription_with_items,
            expanded=("default_payment_method", "discounts", "discounts.source.coupon"),
            list_params={"status": "all"},
            lists=("items",),
            final_statuses=tuple(sorted(FINAL)),
            immutable=("customer_id",),
        ),
        Resource("subscription_schedule", SubscriptionSchedule, "/v1/subscription_schedules", subscription_schedule),
        Resource(
            "invoice",
            Invoice,
            "/v1/invoices",
            invoice_mapping.invoice,
            lists=("lines",),
            expanded=("payments",),
            immutable=("customer_id", "created"),  # a draft by hand may get its subscription with its lines
        ),
        Resource("coupon", Coupon, "/v1/coupons", columns.coupon, named_by_seller=True),
        Resource("promotion_code", PromotionCode, "/v1/promotion_codes", columns.promotion_code),
        Resource("discount", Discount, "", columns.discount, synced=False),
        Resource(
            "invoice_payment", InvoicePayment, "/v1/invoice_payments", invoice_mapping.invoice_payment, synced=False
        ),
        Resource("charge", Charge, "/v1/charges", invoice_mapping.charge),
        Resource(
            "refund",
            Refund,
            "/v1/refunds",
            invoice_mapping.refund,
            final_statuses=("canceled", "failed"),
            immutable=("charge_id", "payment_intent_id", "created"),
        ),
        Resource("dispute", Dispute, "/v1/disputes", invoice_mapping.dispute),
        Resource("credit_note", CreditNote, "/v1/credit_notes", invoice_mapping.credit_note),
        Resource("billing.meter", Meter, "/v1/billing/meters", columns.meter),
        Resource(
            "entitlements.active_entitlement_summary",
            EntitlementSummary,
            "/v1/entitlements/active_entitlements",
            columns.entitlement_summary,
            lists=("entitlements",),  # an event carries ten at most
            synced=False,
            owner="customer",
            probe_path="/v1/entitlements/features",
        ),
    )
}
