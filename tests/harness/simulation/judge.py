"""What must hold at the end of each history, once everything that was under way has arrived."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa

from gateway.db.tables import table_for
from gateway.mirror.resources import RESOURCES, Resource
from gateway.mirror.subscription_items import items_of
from gateway.models.statuses import FINAL
from harness.money_model import book
from harness.simulation.buyers import Buyer
from harness.simulation.database import MEMORY
from harness.simulation.looking import Lost
from harness.simulation.process import Process
from harness.simulation.world import SKEW, World

Json = dict[str, Any]
KINDS = ("customer", "subscription", "invoice", "checkout.session", "charge", "refund", "credit_note")
GRACE = 7 * 86_400 + 3_600
SUBSCRIPTION, ENDING = "customer.subscription.", "customer.subscription.trial_will_end"
LINKS = {"hosted_invoice_url", "invoice_pdf", "url", "client_secret"}


def _never(_invoice: Json, _subscription: str) -> bool:
    """Deny it: what a void invoice would have billed counts for nothing in these histories."""
    return False


@cache
def _text(query: str) -> sa.TextClause:
    """Return a query, which takes as long to read as to run."""
    return sa.text(query)


@cache
def _all_of(kind: str) -> sa.Select[Any]:
    """Return the query of all rows of a kind."""
    return sa.select(table_for(RESOURCES[kind].table))


class Judge:
    """Compares what the gateways have written with what Stripe, the buyers and the application know.

    Args:
        world: at its end.
        buyers: who has done what in it.
    """

    def __init__(self, world: World, buyers: Sequence[Buyer]) -> None:
        self._world, self._buyers = world, buyers
        self._engine, _ = world.shop.database.engines(sa.make_url(MEMORY))

    def check(self) -> None:
        """Check everything.

        Raises:
            Lost: something does not hold.
        """
        with self._engine.connect() as self._connection:
            for found in self._findings():
                raise Lost(found)

    def check_stopped(self) -> None:
        """Check that processes which have ended in good order have given back what they held.

        Raises:
            Lost: something is held by nobody.
        """
        with self._engine.connect() as self._connection:
            for found in [*self._leases(), *self._claims()]:
                raise Lost(found)

    async def check_access(self, observer: Process) -> None:
        """Check that access is what was paid for and kept.

        Args:
            observer: decides it.

        Raises:
            Lost: somebody has access who has not paid, or has none who has.
        """
        now = self._world.stripe.now()
        for buyer in self._buyers:
            customer = buyer.customer()
            truth = customer and await self._world.truth(buyer.name, observer)
            if not customer or not truth:
                continue
            found = book(*self._bills(customer), self._world.prices, is_gift=_never, is_withheld=_never)
            theirs = self._world.stripe.find("subscription", customer=customer)
            ends = [
                max(found.paid_until(each["id"]), each["trial_end"] or 0, found.due.get(each["id"], 0))
                for each in theirs
            ]
            if truth.access.allowed and now > max(ends, default=0) + GRACE:
                raise Lost(f"{buyer.name} has access {now - max(ends, default=0)} s after what is paid")
            active = [each["id"] for each in theirs if each["status"] == "active"]
            if not truth.access.allowed and any(found.is_paid(each, now) for each in active):
                raise Lost(f"{buyer.name} has no access to what is paid")

    def _findings(self) -> Iterator[str]:
        yield from self._world.postman.refused
        yield from self._leases()
        yield from self._unfinished()
        yield from self._mirror()
        yield from self._kept()
        for buyer in self._buyers:
            customer = buyer.customer()
            if customer is not None:
                yield from self._plans(buyer)
                yield from self._credits(buyer, customer)
                yield from self._usage(buyer, customer)
                if self._world.settings.outbound_endpoints:
                    yield from self._told(customer)

    def _rows(self, query: str, **given: Any) -> list[Json]:
        return [dict(row) for row in self._connection.execute(_text(query), given).mappings()]

    def _leases(self) -> Iterator[str]:
        """Nobody holds a lease: those who did have ended, and the leases of the dead have run out."""
        now = datetime.now(UTC).replace(tzinfo=None).isoformat(" ")
        for row in self._rows("SELECT name, until FROM lease WHERE until > :now", now=now):
            yield f"the lease {row['name']} is held until {row['until']}, and by nobody"

    def _claims(self) -> Iterator[str]:
        """Nothing waits for a lease to end that was never tried; what was given back is due by some machine's clock."""
        now = (datetime.now(UTC) + timedelta(seconds=2 * SKEW)).replace(tzinfo=None).isoformat(" ")
        late = (datetime.now(UTC) + timedelta(days=1)).replace(tzinfo=None).isoformat(" ")
        for table in ("usage_record", "outbox_delivery"):
            query = f"SELECT * FROM {table} WHERE attempts = 0 AND next_attempt_at BETWEEN :now AND :late"  # noqa: S608
            for row in self._rows(query, now=now, late=late):
                yield f"{table} {row['id']} is claimed until {row['next_attempt_at']}, and by nobody"

    def _unfinished(self) -> Iterator[str]:
        for table in ("event", "usage_record", "outbox_delivery"):
            query = f"SELECT * FROM {table} WHERE status IN ('pending', 'failed', 'dead')"  # noqa: S608
            for row in self._rows(query):
                yield f"{table} {row['id']} is {row['status']}: {row['last_error']}"

    # The mirror ------------------------------------------------------------------------------------------------

    def _mirror(self) -> Iterator[str]:
        """Every object is as Stripe has it. Of a checkout that nobody has paid no event tells."""
        sandbox = self._world.stripe.sandbox
        for kind in KINDS:
            resource = RESOURCES[kind]
            rows = self._mirrored(resource)
            for each in sandbox.store.find(kind):
                obj = sandbox.present(each, (*resource.expand, *resource.expanded))
                row = rows.get(obj["id"])
                if kind == "checkout.session" and obj["status"] == "open":
                    continue
                yield from self._differences(resource, obj, row)
                owner = obj["metadata"].get("external_id") if kind == "customer" else None
                if row and owner and row["external_id"] != owner:
                    yield f"the customer {obj['id']} is {owner}'s at Stripe and {row['external_id']}'s here"

    def _mirrored(self, resource: Resource) -> dict[str, Json]:
        rows = self._connection.execute(_all_of(resource.kind)).mappings()
        return {row["id"]: dict(row) for row in rows}

    def _differences(self, resource: Resource, obj: Json, row: Json | None) -> Iterator[str]:
        if row is None or row["deleted"]:
            yield f"{resource.kind} {obj['id']} is at Stripe and not in the mirror"
            return
        theirs = resource.read(obj)
        items = {item["id"]: item for item in theirs.pop("_items", ())}
        if resource.kind == "subscription" and row["status"] in FINAL:  # usage is billed later, which no event says
            theirs.pop("latest_invoice_id")
        for name, value in theirs.items():
            if name not in LINKS and row[name] != value and not (name == "line_items" and row[name] is None):
                yield f"{resource.kind} {obj['id']}: {name} is {row[name]!r} here and {value!r} at Stripe"
        if resource.kind == "subscription":
            ours = items_of(self._connection, [obj["id"]]).get(obj["id"], {})
            for item_id in sorted({*items, *ours}):
                if items.get(item_id) != ours.get(item_id):
                    yield f"item {item_id} is {ours.get(item_id)} here and {items.get(item_id)} at Stripe"

    def _kept(self) -> Iterator[str]:
        """Nobody has deleted a customer who has bought."""
        there = {each["id"] for each in self._world.stripe.stored("customer")}
        for session in self._world.stripe.stored("checkout.session", status="complete"):
            if session["customer"] and session["customer"] not in there:
                yield f"the customer {session['customer']} has bought, and is deleted"

    # Money -----------------------------------------------------------------------------------------------------

    def _plans(self, buyer: Buyer) -> Iterator[str]:
        prices = self._world.prices
        groups = Counter(
            prices[item["price"]["id"]]["product"] for each in buyer.live() for item in each["items"]["data"]
        )
        for group, count in groups.items():
            if count > 1:
                yield f"{buyer.name} has {count} live subscriptions of the group {group}"

    def _credits(self, buyer: Buyer, customer: str) -> Iterator[str]:
        entries = self._rows("SELECT * FROM credit_entry WHERE customer_id = :id ORDER BY id", id=customer)
        accounts = self._rows("SELECT * FROM credit_account WHERE customer_id = :id", id=customer)
        balance = sum(each["balance"] for each in accounts)
        if balance != sum(each["amount"] for each in entries):
            yield f"{buyer.name}'s balance is {balance}, and not the sum of the ledger"
        given = {each["key"]: -each["amount"] for each in entries if each["kind"] == "spend"}
        if given != buyer.spent:
            yield f"{buyer.name} was answered the spends {buyer.spent}, and the ledger has {given}"
        yield from self._lots(buyer, customer)

    def _lots(self, buyer: Buyer, customer: str) -> Iterator[str]:
        """Each paid line has brought what it was to bring, once, less what went back."""
        invoices, packs, gone = self._bills(customer)
        found = book(invoices, packs, gone, self._world.prices, is_gift=_never, is_withheld=_never)
        lots = {
            each["id"]: each for each in self._rows("SELECT * FROM credit_lot WHERE customer_id = :id", id=customer)
        }
        brought = sum(lot["granted"] - lot["revoked"] for lot in lots.values())
        least, most = sum(lot.least for lot in found.lots.values()), sum(lot.most for lot in found.lots.values())
        if not least - found.slack <= brought <= most + found.slack:
            yield f"{buyer.name} was given {brought} credits, and has paid for {float(least)} to {float(most)}"

    def _bills(self, customer: str) -> tuple[list[Json], list[Json], dict[str, int]]:
        stripe = self._world.stripe
        back: Counter[str] = Counter()
        for charge in stripe.find("charge", customer=customer):
            back[charge["payment_intent"]] += charge["amount_refunded"]
        sessions = stripe.find("checkout.session", customer=customer, status="complete")
        packs = [each for each in sessions if each["mode"] == "payment" and each["payment_status"] == "paid"]
        gone = {each["id"]: back[each["payment_intent"]] for each in packs}
        invoices = stripe.find("invoice", customer=customer)
        for invoice in invoices:
            payments = stripe.find("invoice_payment", invoice=invoice["id"])
            gone[invoice["id"]] = sum(back[each["payment"].get("payment_intent")] for each in payments)
        return invoices, packs, gone

    def _usage(self, buyer: Buyer, customer: str) -> Iterator[str]:
        counted = Counter[str]()
        for event in self._world.stripe.sandbox.store.find("billing.meter_event", _customer=customer):
            counted[event["identifier"]] += int(event["payload"]["value"])
        if counted != buyer.reported:
            yield f"{buyer.name} has reported {buyer.reported}, and Stripe has counted {dict(counted)}"

    # What the application was told -----------------------------------------------------------------------------

    def _told(self, customer: str) -> Iterator[str]:
        """Each message has come, in the order of what it is about, and what happens once is told once."""
        query = "SELECT message_id, type, payload FROM outbox_message WHERE customer_id = :id ORDER BY id"
        written = [row["message_id"] for row in self._rows(query, id=customer)]
        mine = [name for name, body in self._world.taken.items() if body["data"]["customerId"] == customer]
        if mine != written:
            yield f"the messages about {customer} came as {mine}, and were written as {written}"
        bodies = [self._world.taken[name] for name in mine]
        stripe = self._world.stripe
        paid = {each["id"] for each in stripe.find("invoice", customer=customer, status="paid")}
        yield from _once(bodies, "invoice.paid", "invoiceId", paid)
        done = {each["id"] for each in stripe.find("checkout.session", customer=customer, status="complete")}
        yield from _once(bodies, "checkout.completed", "sessionId", done)
        theirs = stripe.find("subscription", customer=customer)
        ended = {each["id"] for each in theirs if each["status"] in FINAL}
        yield from _once(bodies, "subscription.ended", "subscriptionId", ended)
        yield from self._last_decision(customer, bodies)
        events = [each for each in reversed(stripe.stored("event")) if each["type"].startswith(SUBSCRIPTION)]
        ending = {each["data"]["object"]["id"] for each in events if each["type"] == ENDING}
        yield from _once(bodies, "trial.ending", "subscriptionId", ending & {each["id"] for each in theirs})
        for subscription in theirs:
            yield from self._states(subscription, [each["data"]["object"] for each in events], bodies)

    def _states(self, subscription: Json, objects: Sequence[Json], bodies: Sequence[Json]) -> Iterator[str]:
        """What is told of a subscription comes in the order in which it happened, and the present state last."""
        name = subscription["id"]
        happened = [_state(each) for each in objects if each["id"] == name]
        said = (body["data"] for body in bodies if body["data"].get("subscriptionId") == name)
        told = [_state(each) for each in said if each.get("status") and "items" in each]
        rest = iter(happened)
        if not all(state in rest for state in told):
            yield f"of {name} was told {told}, and happened {happened}"
        if told and told[-1] != _state(subscription):
            yield f"of {name} was told {told[-1]} last, and it is {_state(subscription)}"

    def _last_decision(self, customer: str, bodies: Sequence[Json]) -> Iterator[str]:
        """What the application was told last about access is what is decided now."""
        (row,) = self._rows("SELECT last_notified FROM access_watch WHERE customer_id = :id", id=customer) or [{}]
        decisions = [body["data"] for body in bodies if body["type"] == "access.changed"]
        if row and decisions and bool(row["last_notified"]) != decisions[-1]["allowed"]:
            yield f"the application was told {decisions[-1]}, and {row['last_notified']!r} is decided"
        if row and not decisions and row["last_notified"]:
            yield f"the application was never told that {customer} has access: {row['last_notified']!r}"


def _state(subscription: Json) -> tuple[str, frozenset[str]]:
    """Return what matters of a subscription, as Stripe has it or as a message says it."""
    items = subscription["items"]
    prices = (each["price"]["id"] for each in items["data"]) if "data" in items else (each["priceId"] for each in items)
    return subscription["status"], frozenset(prices)


def _once(bodies: Sequence[Json], kind: str, field: str, expected: set[str]) -> Iterator[str]:
    told = Counter(body["data"][field] for body in bodies if body["type"] == kind)
    if told != Counter(expected):
        yield f"{kind} was told of {dict(told)}, and happened to {sorted(expected)}"
