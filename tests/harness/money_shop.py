"""The shop of the money game, and the questions that the game asks the gateway and Stripe."""

import os
import time
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from harness.checkout import ask, opened, pay
from harness.gateway import SERVICE, connected
from harness.pacing import Budget

DAY = 86_400
SLACK = 2 * 3600
"""Stripe charges a renewal an hour after the period's end; the rest is the game's own time."""
OCCUPYING = {"trialing", "active", "past_due", "unpaid", "paused"}
BAD_CARD = "4000 0000 0000 0341"
"""It can be kept, and no charge of it succeeds: https://docs.stripe.com/testing#declined-payments."""

ACCOUNT = """query($id: ID!) { customer(externalId: $id) { id
    credits { balance } subscriptions { id status access { allowed until } plan { id } }
    entitlements { feature limit } } }"""
QUOTE = """query($subscriptionId: ID!, $priceId: ID, $quantity: Int, $items: [SubscriptionItemChangeInput!]) { viewer {
    previewChange(subscriptionId: $subscriptionId, priceId: $priceId, quantity: $quantity, items: $items) {
    dueNow { amount } prorationDate } } }"""
CHANGE = """mutation($input: ChangeSubscriptionInput!) { changeSubscription(input: $input) {
    subscription { id } invoice { id total { amount } amountDue { amount } } userErrors { code } } }"""
LATER = """mutation($input: ChangeSubscriptionInput!) { changeSubscription(input: $input) {
    subscription { pendingChange { at plan { id } dueAtRenewal { amount } } } userErrors { code } } }"""
UNDO = """mutation($input: CancelPendingChangeInput!) { cancelPendingChange(input: $input) {
    subscription { pendingChange { at } } userErrors { code } } }"""
CANCEL = """mutation($input: CancelSubscriptionInput!) { cancelSubscription(input: $input) {
    subscription { id } userErrors { code } } }"""
PAUSE = """mutation($input: PauseSubscriptionInput!) { pauseSubscription(input: $input) {
    subscription { id } userErrors { code } } }"""
RESUME = """mutation($input: ResumeSubscriptionInput!) { resumeSubscription(input: $input) {
    subscription { id } userErrors { code } } }"""
CLOSE = """mutation($input: ExpireCheckoutSessionInput!) { expireCheckoutSession(input: $input) {
    session { status } userErrors { code } } }"""
SPEND = """mutation($input: SpendCreditsInput!) { spendCredits(input: $input) {
    entry { id } credits { balance } userErrors { code } } }"""
GIVE = """mutation($input: GrantCreditsInput!) { grantCredits(input: $input) {
    entry { id } credits { balance } userErrors { code } } }"""
REFUND = """mutation($input: RefundInvoiceInput!) { refundInvoice(input: $input) {
    refund { id } userErrors { code } } }"""
CREDIT = """mutation($input: CreditInvoiceInput!) { creditInvoice(input: $input) {
    creditNote { id } userErrors { code } } }"""
UPDATE = """mutation($input: UpdateCustomerInput!) { updateCustomer(input: $input) {
    customer { id } userErrors { code } } }"""
LINK = """mutation($input: LinkCustomerInput!) { linkCustomer(input: $input) {
    customer { id } userErrors { code } } }"""
REPORT = """mutation($input: ReportUsageInput!) { reportUsage(input: $input) { userErrors { code } } }"""
USAGE = "query($name: String!) { viewer { usage(eventName: $name) { value periodStart periodEnd } } }"
PORTAL = """mutation($input: CreatePortalSessionInput!) { createPortalSession(input: $input) {
    url userErrors { code } } }"""
VIEWER = "{ viewer { customer { id } credits { balance } subscriptions { id } invoices { nodes { id } } } }"

PLANS = ("month", "pro", "year", "free", "taster")
SOLD: dict[str, dict[str, Any]] = {
    "month": {"product": "plan", "amount": 1000, "credits": 1000, "interval": "month"},
    "pro": {"product": "plan", "amount": 9000, "credits": 9000, "interval": "month"},
    "year": {"product": "plan", "amount": 10_000, "credits": 12_000, "interval": "year"},
    "free": {"product": "plan", "amount": 0, "credits": 50, "interval": "month"},
    "extra": {"product": "extra", "amount": 300, "credits": 0, "interval": "month"},
    "more": {"product": "more", "amount": 200, "credits": 0, "interval": "month"},
    "tried": {"product": "tried", "amount": 700, "credits": 0, "interval": "month", "trial": 14},
    "taster": {"product": "plan", "amount": 2000, "credits": 2000, "interval": "month", "trial": 14},
    "pack": {"product": "pack", "amount": 500, "credits": 500, "interval": None},
    "calls": {"product": "calls", "amount": 7, "credits": 0, "interval": "month", "meter": "game_calls"},
}
TOKENS = 100
"""So many tokens the plans give in a period."""
COUNTED = {"features": "tokens, images, minutes, seats", "limit_tokens": str(TOKENS), "use_tokens": "counter"}
COUNTED |= {"limit_seats": "1", "limit_seats_per_unit": "true"}
COUNTED |= {"use_images": "credits", "use_minutes": f"meter:{SOLD['calls']['meter']}"}
METADATA = {name: {"addon": "true"} for name in ("extra", "more", "calls")} | {"tried": {"group": "tried"}}
METADATA |= {"plan": COUNTED}


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class Shop:
    """One gateway and one catalogue.

    Args:
        world: the gateway and its offline Stripe.
        organisations: whether organisations are the customers, instead of users.
        budget: how much of a processor the game may use.

    Attributes:
        buyers: how many have come.
        first: with which purchase the first of them began, by its number.
        before: the events of before the game.
    """

    def __init__(self, world: Any, *, organisations: bool, budget: Budget) -> None:
        self.world, self.organisations, self.buyers, self.first = world, organisations, 0, 0
        self.budget = budget
        products = {}
        for name in dict.fromkeys(terms["product"] for terms in SOLD.values()):
            given = {f"metadata[{key}]": value for key, value in METADATA.get(name, {}).items()}
            products[name] = world.stripe("POST", "/v1/products", name=f"Game {name}", **given)["id"]
        self.prices: dict[str, dict[str, Any]] = {}
        self.ids: dict[str, str] = {}
        for name, terms in SOLD.items():
            recurring = {"recurring[interval]": terms["interval"]} if terms["interval"] else {}
            recurring |= {"recurring[trial_period_days]": terms["trial"]} if "trial" in terms else {}
            if "meter" in terms:
                meter = {"event_name": terms["meter"], "default_aggregation[formula]": "sum"}
                made = world.stripe("POST", "/v1/billing/meters", display_name="Calls", **meter)
                recurring |= {"recurring[usage_type]": "metered", "recurring[meter]": made["id"]}
            given = {"currency": "usd", "unit_amount": terms["amount"], "metadata[credits]": terms["credits"]}
            made = world.stripe("POST", "/v1/prices", product=products[terms["product"]], **given, **recurring)
            self.ids[name], self.prices[made["id"]] = made["id"], terms
        world.eventually(lambda: {row["id"] for row in world.rows("price")} >= set(self.prices))
        world.eventually(lambda: world.rows("event", status="pending"), [])
        self.before = {each["id"] for each in self.listed("/v1/events")}

    def listed(self, path: str, **given: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.world.stripe("GET", path, limit=100, **given)["data"]
        return found

    def now(self) -> int:
        """Stripe's present, which is the gateway's too."""
        found: int = self.world.client.get(f"{self.world.stripe_url}/_sandbox/clock").json()["now"]
        return found

    def chaos(self, **faults: float) -> None:
        given = {"duplicate": 0, "reorder": 0, "delay": 0, "drop": 0, "rate_limit": 0, "delay_seconds": 0.2, **faults}
        self.world.client.post(f"{self.world.stripe_url}/_sandbox/chaos", json=given)


class Buyer:
    """Somebody with a shop's gateway in front of him; of an organisation, any of two members.

    Args:
        shop: where he buys.
        name: what the application calls him, or his organisation.
    """

    def __init__(self, shop: Shop, name: str) -> None:
        self.shop, self.world, self.name = shop, shop.world, name
        self.email = f"{name}@example.com"
        self.asked = 0

    @property
    def headers(self) -> dict[str, str]:
        """Of one member after the other, where it is an organisation."""
        if not self.shop.organisations:
            return self.world.token(self.name, email=self.email, email_verified=True)
        self.asked += 1
        member = f"member{self.asked % 2}_{self.name}"
        return self.world.token(member, org=self.name, email=f"{member}@example.com", email_verified=True)

    def customer(self) -> str | None:
        rows = self.world.rows("customer", external_id=self.name)
        assert len(rows) <= 1
        return rows[0]["id"] if rows else None

    def account(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.world.data(ACCOUNT, {"id": self.name}, SERVICE)["customer"]
        return found

    def at_stripe(self) -> list[dict[str, Any]]:
        customer = self.customer()
        return self.shop.listed("/v1/subscriptions", customer=customer, status="all") if customer else []

    def live(self) -> list[dict[str, Any]]:
        return [each for each in self.at_stripe() if each["status"] in OCCUPYING]

    def owes(self, subscription: str) -> bool:
        """Whether the subscription has an unpaid invoice at Stripe."""
        bills = self.shop.listed("/v1/invoices", subscription=subscription)
        found = self.world.stripe("GET", f"/v1/subscriptions/{subscription}")
        latest = [bill for bill in bills if bill["id"] == found["latest_invoice"]]
        return found["status"] in {"past_due", "unpaid", "incomplete"} or any(
            bill["status"] in {"draft", "open", "uncollectible"} for bill in latest
        )

    def shape(self, subscription: str) -> tuple[Any, ...]:
        """What a change may change at Stripe."""
        found = self.world.stripe("GET", f"/v1/subscriptions/{subscription}")
        bills = self.shop.listed("/v1/invoices", subscription=subscription)
        items = tuple((item["price"]["id"], item.get("quantity")) for item in found["items"]["data"])
        return items, found["cancel_at_period_end"], len(bills)

    def plans(self, subscription: str) -> str | None:
        """The schedule that Stripe has of a subscription."""
        found: str | None = self.world.stripe("GET", f"/v1/subscriptions/{subscription}")["schedule"]
        return found

    def ask(self, query: str, name: str, given: dict[str, Any]) -> dict[str, Any] | None:
        """Return the payload of a mutation; None where a plain error says why not."""
        answer = self.world.graphql(query, {"input": given}, self.headers).json()
        for error in answer.get("errors", []):
            assert error["extensions"]["code"] in {"BAD_USER_INPUT", "NOT_FOUND"}, error
        found: dict[str, Any] | None = (answer.get("data") or {}).get(name)
        return found

    def change(self, subscription: str, price: str, quantity: int | None = None, date: str | None = None) -> Any:
        """Ask for a change; the payload if it was made, else None."""
        given = {"subscriptionId": subscription, "priceId": self.shop.ids[price], "quantity": quantity}
        answer = self.ask(CHANGE, "changeSubscription", {**given, "prorationDate": date})
        return None if answer is None or answer["userErrors"] else answer

    def change_later(self, subscription: str, price: str, quantity: int | None = None) -> Any:
        """Plan a change for the end of the period; the subscription if it is as was asked, else None."""
        given = {"subscriptionId": subscription, "priceId": self.shop.ids[price], "quantity": quantity}
        answer = self.ask(LATER, "changeSubscription", {**given, "when": "AT_PERIOD_END"})
        return None if answer is None or answer["userErrors"] else answer["subscription"]

    def change_items(self, subscription: str, items: list[dict[str, Any]], date: str | None) -> Any:
        """Ask for several changes in one; the payload if they were made, else None."""
        given = {"subscriptionId": subscription, "items": items, "prorationDate": date}
        answer = self.ask(CHANGE, "changeSubscription", given)
        return None if answer is None or answer["userErrors"] else answer

    def quote(self, subscription: str, price: str, quantity: int | None = None) -> tuple[int | None, str | None]:
        return self._quote({"subscriptionId": subscription, "priceId": self.shop.ids[price], "quantity": quantity})

    def quote_items(self, subscription: str, items: list[dict[str, Any]]) -> tuple[int | None, str | None]:
        return self._quote({"subscriptionId": subscription, "items": items})

    def _quote(self, given: dict[str, Any]) -> tuple[int | None, str | None]:
        answer = self.world.graphql(QUOTE, given, self.headers).json()
        found = ((answer.get("data") or {}).get("viewer") or {}).get("previewChange")
        return (found["dueNow"]["amount"], found["prorationDate"]) if found else (None, None)

    def spend(self, amount: int, key: str) -> dict[str, Any] | None:
        """Spend as the application's back end; the payload if it was covered, else None."""
        return self.back_end(SPEND, "spendCredits", externalId=self.name, amount=amount, idempotencyKey=key)

    def back_end(self, query: str, name: str, /, **given: Any) -> dict[str, Any] | None:
        """Ask as the application's back end; the payload, None where something must be fixed."""
        answer: dict[str, Any] = self.world.data(query, {"input": given}, SERVICE)[name]
        return None if answer["userErrors"] else answer

    def report(self, value: int, identifier: str) -> list[str]:
        """Report usage as the application's back end; the codes of why not."""
        given = {"externalId": self.name, "eventName": SOLD["calls"]["meter"], "value": value, "identifier": identifier}
        answer = self.world.data(REPORT, {"input": given}, SERVICE)["reportUsage"]
        return [error["code"] for error in answer["userErrors"]]

    def counted(self) -> list[dict[str, Any]]:
        """What Stripe has counted of the customer's usage."""
        return list(self.world.sandbox.store.find("billing.meter_event", _customer=self.customer()))

    def open(self, *names: str) -> dict[str, Any] | None:
        """Open a checkout; None where it is refused."""
        answer = ask(self.world, self.headers, *({"priceId": self.shop.ids[name]} for name in names))
        session: dict[str, Any] | None = answer["session"]
        return session if session and session["url"] and not answer["userErrors"] else None

    def pay(self, session: dict[str, Any], **form: str) -> None:
        """Fill in the hosted page, whatever becomes of it."""
        fields = {"email": self.email, "card_number": "4242 4242 4242 4242", "card_expiry": "12 / 34"}
        fields |= {"card_cvc": "123", "name": "Ada", "action": "pay", **form}
        self.world.client.post(session["url"], data=fields, headers={"Origin": self.world.stripe_url})

    def buy(self, *names: str) -> None:
        if session := self.open(*names):
            self.pay(session)

    def buy_as_guest(self, name: str) -> None:
        """Buy before signing in, with the e-mail that is verified later."""
        pay(self.world, opened(self.world, {}, {"priceId": self.shop.ids[name]}), email=self.email)

    def portal(self, path: str, **form: str) -> None:
        """Open the portal through the gateway, and send one of its forms."""
        answer = self.ask(PORTAL, "createPortalSession", {"returnUrl": "https://shop.example/"})
        if answer and answer["url"]:
            self.world.client.post(f"{answer['url']}{path}", data=form, headers={"Origin": self.world.stripe_url})

    def change_at_stripe(self, subscription: dict[str, Any], price: str, quantity: int, billed: str) -> None:
        """Make something else of a month, as Stripe's portal does that sells both.

        Args:
            subscription: as Stripe has it.
            price: what becomes of it.
            quantity: how many.
            billed: when (Stripe, `proration_behavior`).
        """
        for item in subscription["items"]["data"]:
            if item["price"]["id"] == self.shop.ids["month"] and not subscription["schedule"]:
                change = {"items[0][id]": item["id"], "items[0][price]": self.shop.ids[price]}
                path = f"/v1/subscriptions/{subscription['id']}"
                change |= {"items[0][quantity]": quantity, "proration_behavior": billed}
                self.shop.world.stripe("POST", path, **change)

    def take_card(self, number: str) -> None:
        card = {"card_number": number, "card_expiry": "12 / 34", "card_cvc": "123", "name": "Ada"}
        self.portal("/payment-method", **card)

    def wait(self, seconds: float) -> None:
        """Let Stripe's time pass; the gateway hears of it with whatever Stripe answers next."""
        body = {"by": int(seconds)}
        self.world.client.post(f"{self.world.stripe_url}/_sandbox/clock/advance", json=body, timeout=120)
        self.ask(PORTAL, "createPortalSession", {"returnUrl": "https://shop.example/"})

    def bills(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, int]]:
        """The invoices, the paid checkouts without one, and what went back of each: refunds, lost disputes, credits."""
        customer = self.customer()
        invoices = self.shop.listed("/v1/invoices", customer=customer, **{"expand[0]": "data.payments"})
        sessions = self.shop.listed("/v1/checkout/sessions", customer=customer, status="complete")
        packs = [each for each in sessions if each["mode"] == "payment" and each["payment_status"] == "paid"]
        charges = self.shop.listed("/v1/charges", customer=customer)
        lost: dict[str, int] = {}
        if any(charge["disputed"] for charge in charges):
            for dispute in self.shop.listed("/v1/disputes"):
                if dispute["status"] == "lost":
                    lost[dispute["charge"]] = lost.get(dispute["charge"], 0) + dispute["amount"]
        back: dict[str, int] = {}
        for charge in charges:
            intent = charge["payment_intent"]
            back[intent] = back.get(intent, 0) + charge["amount_refunded"] + lost.get(charge["id"], 0)
        gone = {each["id"]: back.get(each["payment_intent"], 0) for each in packs}
        for invoice in invoices:
            intents = [each["payment"].get("payment_intent") for each in invoice["payments"]["data"]]
            gone[invoice["id"]] = sum(back.get(intent, 0) for intent in intents) + credited(invoice)
        return invoices, packs, gone

    def settle(self) -> None:
        """Wait until every event is applied; what no delivery brings is sent again, as operators do."""
        world, patience = self.world, time.monotonic() + 1.5
        deadline = time.monotonic() + float(os.environ.get("GAME_PATIENCE", "60"))
        while True:
            happened = {each["id"] for each in self.shop.listed("/v1/events")} - self.shop.before
            missing = happened - _known(world, happened)
            if not missing and not _pending(world):
                return
            if missing and time.monotonic() > patience:
                for each in missing:
                    world.client.post(f"{world.stripe_url}/_sandbox/events/{each}/resend", json={})
                patience = time.monotonic() + 1.5
            assert time.monotonic() < deadline, f"not applied: {missing} {_pending(world)}"
            time.sleep(0.03)


def credited(invoice: dict[str, Any]) -> int:
    """What credit notes took off an invoice: of a paid one it is balance, of an open one it is not asked for."""
    return sum(invoice[f"{when}_payment_credit_notes_amount"] for when in ("pre", "post"))


def _known(world: Any, ids: set[str]) -> set[str]:
    if not ids:
        return set()
    query = sa.text("SELECT id FROM event WHERE id IN :ids").bindparams(sa.bindparam("ids", expanding=True))
    with connected(world.settings.database_url.get_secret_value()) as connection:
        return set(connection.execute(query, {"ids": sorted(ids)}).scalars())


def _pending(world: Any) -> list[str]:
    """The events that are not applied, and the usage that Stripe does not have."""
    unfinished = "status IN ('pending', 'failed', 'dead')"
    with connected(world.settings.database_url.get_secret_value()) as connection:
        return [
            found
            for table in ("event", "usage_record")
            for found in connection.execute(sa.text(f"SELECT id FROM {table} WHERE {unfinished}")).scalars()  # noqa: S608
        ]
