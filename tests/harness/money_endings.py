"""Who leaves, pauses and comes back in the money game, at the gateway and at Stripe, and what the seller lets pass.

The model knows when it asked for a pause, what was answered, and which invoices the seller has voided: what Stripe
voids in a pause of the customer's own was never paid, and what the seller lets pass is a gift. It does not look at what
the gateway has written down of pauses.
"""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from harness.money_model import Book
from harness.money_seller import Seller
from harness.money_shop import CANCEL, DAY, PAUSE, RESUME, SLACK, SOLD

HOW_REPORTED = st.sampled_from(["once", "twice", "away", "otherwise"])
AT_STRIPE = st.sampled_from(
    [None, None, ("year", 1, "always_invoice"), ("month", 3, "always_invoice"), ("month", 3, "create_prorations")]
)
"""What becomes of a month in Stripe's portal: the price, how many of it, and when it is billed."""
END = float("inf")


class Endings(Seller):
    """The rules about the end of what was bought, for good or for a while.

    Attributes:
        own: from when to when the customer had paused a subscription here, by its id.
        sellers: the same of the seller's pauses at Stripe.
        voided: invoices that the seller has voided.
    """

    def begin_anew(self) -> None:
        """Forget the pauses as well."""
        super().begin_anew()
        self.own: dict[str, list[list[float]]] = {}
        self.sellers: dict[str, list[list[float]]] = {}
        self.voided: set[str] = set()

    def _read_book(self) -> Book:
        """Read what was paid for, with what is a gift and what was kept from being billed."""
        for its in self.buyer.at_stripe():
            if not its["pause_collection"]:
                self._ends(self.own, its["id"])
                self._ends(self.sellers, its["id"])
        return super()._read_book()

    def _is_gift(self, bill: dict[str, Any], its: str) -> bool:
        made = bill["created"]
        if bill["id"] in self.voided or _is_in(self.own, its, made):
            return bill["id"] in self.voided
        return _is_in(self.sellers, its, made)

    def _is_withheld(self, bill: dict[str, Any], its: str) -> bool:
        return bill["id"] not in self.voided and _is_in(self.own, its, bill["created"])

    def _ends(self, pauses: dict[str, list[list[float]]], its: str) -> None:
        for pause in pauses.get(its, ()):
            pause[1] = min(pause[1], self.shop.now())

    def _paused_here(self, its: str) -> bool:
        """Whether a pause of the customer's own goes on: what ends it is that it is resumed here, or its own end."""
        return any(end == END for _, end in self.own.get(its, ()))

    def note_pause(self, its: str, began: float) -> None:
        """Note that a pause was asked for and begun; one that goes on only gets another end."""
        self._ends(self.sellers, its)
        if not self._paused_here(its):
            self.own.setdefault(its, []).append([began, END])

    @rule(now=st.booleans(), portal=st.booleans())
    def cancel(self, now: bool, portal: bool) -> None:
        for subscription in self.buyer.live():
            if portal:
                self.buyer.portal(f"/subscriptions/{subscription['id']}/cancel")
            else:
                self._cancel(subscription["id"], "NOW" if now else "AT_PERIOD_END")

    def _cancel(self, its: str, when: str) -> None:
        self._use_before(its, when)
        answer = self.buyer.ask(CANCEL, "cancelSubscription", {"subscriptionId": its, "when": when})
        if when == "NOW" and answer and not answer["userErrors"]:
            self.ended_now.add(its)

    def _use_before(self, its: str, when: str) -> None:
        """Use what is billed by use a moment before the end."""
        if when == "NOW" and self.shop.ids["calls"] in [price for price, _ in self.buyer.shape(its)[0]]:
            self._report(7, "once")

    def _report(self, value: int, how: str) -> None:
        """Report usage: by two callers at once, while Stripe refuses every call, or again with another amount."""
        self.key += 1
        key = f"{self.buyer.name}-{self.key}"
        if how == "away":
            self.shop.chaos(rate_limit=-1)
        with ThreadPoolExecutor(2) as pool:
            codes = list(pool.map(lambda _: self.buyer.report(value, key), range(2 if how == "twice" else 1)))
        assert not any(codes), f"usage was refused: {codes}"
        self.reported[key] = value
        if how == "otherwise":
            assert self.buyer.report(value + 1, key) == ["IDEMPOTENCY_KEY_REUSED"]
        if how == "away":
            self.shop.world.eventually(lambda: self.shop.world.rows("usage_record", id=key)[0]["attempts"], seconds=60)
            self.shop.chaos()

    @rule()
    def resume(self) -> None:
        for subscription in self.buyer.live():
            self.buyer.ask(RESUME, "resumeSubscription", {"subscriptionId": subscription["id"]})

    @rule(days=st.sampled_from([None, 3, 45]), renewals=st.integers(0, 2), resume=st.booleans(), at_stripe=AT_STRIPE)
    def pause(self, days: int | None, renewals: int, resume: bool, at_stripe: tuple[str, int, str] | None) -> None:
        """Pause before a renewal and take it up after it, at once or later, or let it come by itself.

        Meanwhile make years of it, or three of one, as Stripe's portal does, whose invoice is void.
        """
        for subscription in self.buyer.live():
            owed, began = self.buyer.owes(subscription["id"]), self.shop.now()
            given = {"subscriptionId": subscription["id"], "until": self._in_days(days)}
            answer = self.buyer.ask(PAUSE, "pauseSubscription", given)
            assert not (owed and answer and answer["subscription"]) or subscription["pause_collection"], "a way out"
            if answer and not answer["userErrors"]:
                self.note_pause(subscription["id"], began)
                if at_stripe:
                    self.buyer.change_at_stripe(subscription, *at_stripe)
                    self.has_what_was_paid_and_kept()
        for _ in range(renewals):
            self.buyer.wait(31 * DAY + SLACK)
            self.has_what_was_paid_and_kept()
        if resume:
            self.resume()

    def _in_days(self, days: int | None) -> str | None:
        return None if days is None else datetime.fromtimestamp(self.shop.now() + days * DAY, UTC).isoformat()

    @rule(months=st.integers(1, 2), lifted=st.booleans())
    def seller_pauses(self, months: int, lifted: bool) -> None:
        """Let some months pass for nothing, as a gift of the seller's; the buyer may take it up again."""
        for its in [each["id"] for each in self.buyer.live()]:
            subscription = self.shop.world.stripe("GET", f"/v1/subscriptions/{its}")  # others have taken months
            was_own = any(end > self.shop.now() - 3 * DAY for _, end in self.own.get(its, ()))
            if (
                subscription["status"] != "active"
                or subscription["pause_collection"]
                or was_own
                or self.buyer.owes(its)
            ):
                continue
            self.sellers.setdefault(its, []).append([self.shop.now(), END])
            path = f"/v1/subscriptions/{its}"
            self.shop.world.stripe("POST", path, **{"pause_collection[behavior]": "void"})
            for _ in range(months):
                self.buyer.wait(31 * DAY + SLACK)
                self.has_what_was_paid_and_kept()
            if lifted and its in {each["id"] for each in self.buyer.live()}:
                self.shop.world.stripe("POST", path, pause_collection="")

    @rule(then=st.sampled_from(["pause", "wait", "nothing"]))
    def seller_forgives(self, then: str) -> None:
        """Void what is owed for a renewal: the time is given; what comes after it is not."""
        bills = self.buyer.bills()[0] if self.buyer.customer() else []
        for bill in bills:
            if bill["status"] == "open" and bill["billing_reason"] == "subscription_cycle":
                self.shop.world.stripe("POST", f"/v1/invoices/{bill['id']}/void")
                self.voided.add(bill["id"])
        if then == "pause":
            self.pause(days=None, renewals=1, resume=False, at_stripe=None)
        elif then == "wait":
            self.buyer.wait(31 * DAY + SLACK)

    def has_what_was_paid_and_kept(self) -> None:
        """Hold everything; the game says what."""
        raise NotImplementedError

    def check_seats(self, found: Book, account: dict[str, Any], theirs: dict[str, dict[str, Any]], now: int) -> None:
        """Hold the seats, of which each plan gives one: in a pause of the customer's as many as were paid for.

        So it is as long as what the pause has kept from being billed is not paid; else as many as there are.
        """
        giving = [theirs[each["id"]] for each in account["subscriptions"] if each["access"]["allowed"]]
        if any(each["status"] == "past_due" for each in giving):
            return
        limit = next((each["limit"] for each in account["entitlements"] if each["feature"] == "seats"), 0)
        seats = [self._seats(found, each, now) for each in giving]
        assert None in seats or limit == sum(map(int, seats)), f"{limit} seats, and {seats} paid for or there"

    def _seats(self, found: Book, its: dict[str, Any], now: int) -> int | None:
        if self._paused_here(its["id"]) or found.is_withheld(its["id"], now):
            return found.units_at(its["id"], now)
        if found.went_back(its["id"], now):
            return 0
        plans = [item for item in its["items"]["data"] if SOLD[self._name(item["price"]["id"])]["product"] == "plan"]
        return sum(item["quantity"] for item in plans)

    def _name(self, price: str) -> str:
        return next(name for name, its in self.shop.ids.items() if its == price)


def _is_in(pauses: dict[str, list[list[float]]], its: str, moment: float) -> bool:
    return any(begun <= moment <= ended for begun, ended in pauses.get(its, ()))
