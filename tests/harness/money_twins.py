"""Two callers at once in the money game: what becomes of two acts is what becomes of them one after the other.

What they should come to nobody says: three buyers of the same do the same two acts, one of them in one order, one in
the other, and one at once, who must be told and have what one of the other two is told and has.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from harness.money_counted import Counter
from harness.money_shop import CANCEL, DAY, PAUSE, RESUME, UNDO, Buyer

CLOSE = 30
"""By how much amounts may differ that Stripe prorates by the second."""
Act = Callable[[Buyer, str, str | None], bool]


def _asked(query: str, name: str, **given: Any) -> Act:
    def act(buyer: Buyer, its: str, until: str | None) -> bool:
        told = {"until": until} if given.get("until") else {}
        answer = buyer.ask(query, name, {"subscriptionId": its, **given, **told})
        return bool(answer and not answer["userErrors"])

    return act


ACTS: dict[str, Act] = {
    "pro": lambda buyer, its, _: bool(buyer.change(its, "pro")),
    "year": lambda buyer, its, _: bool(buyer.change(its, "year")),
    "three": lambda buyer, its, _: bool(buyer.change(its, "month", 3)),
    "free later": lambda buyer, its, _: bool(buyer.change_later(its, "free")),
    "pro later": lambda buyer, its, _: bool(buyer.change_later(its, "pro", 2)),
    "undo": _asked(UNDO, "cancelPendingChange"),
    "end": _asked(CANCEL, "cancelSubscription", when="AT_PERIOD_END"),
    "end now": _asked(CANCEL, "cancelSubscription", when="NOW"),
    "resume": _asked(RESUME, "resumeSubscription"),
    "pause": _asked(PAUSE, "pauseSubscription"),
    "pause for a while": _asked(PAUSE, "pauseSubscription", until=True),
    "buy": lambda buyer, _, __: bool(buyer.open("pro")),
    "spend": lambda buyer, _, __: bool(buyer.spend(600, f"{buyer.name}-spends")),
    "spend elsewhere": lambda buyer, _, __: bool(buyer.spend(600, f"{buyer.name}-spends-too")),
}


class Twins(Counter):
    """The rule about two at once."""

    @rule(first=st.sampled_from(sorted(ACTS)), second=st.sampled_from(sorted(ACTS)))
    def two_at_once(self, first: str, second: str) -> None:
        """Do two acts at once, of a month that was just bought: the result is that of one after the other."""
        self.shop.chaos()
        until = self._in_days(45)
        found = []
        for number, order in enumerate(((0, 1), (1, 0), None)):
            self.shop.buyers += 1
            buyer = Buyer(self.shop, f"twin{number}_{self.shop.buyers}_of_{self.buyer.name}")
            buyer.buy("month")
            buyer.settle()
            (its,) = (each["id"] for each in buyer.live())
            acts = [ACTS[first], ACTS[second]]
            with ThreadPoolExecutor(2) as pool:
                if order is None:
                    told = list(pool.map(lambda act: act(buyer, its, until), acts))  # noqa: B023 - it ends within
                else:
                    done = {place: acts[place](buyer, its, until) for place in order}
                    told = [done[0], done[1]]
            found.append((told, *self._stands(buyer)))
        *serial, at_once = found
        assert any(_is_like(at_once, each) for each in serial), f"{first}, {second}: {at_once}, and one of {serial}"

    def _stands(self, buyer: Buyer) -> tuple[list[Any], list[int]]:
        """What a buyer has at Stripe and here, and how much of it: amounts depend on the second."""
        buyer.settle()
        facts: list[Any] = []
        amounts = [(buyer.account() or {})["credits"]["balance"]]
        for each in buyer.at_stripe():
            paused = each["pause_collection"] or {}
            ends = (paused.get("resumes_at") or each["created"]) - each["created"]
            items = [(self._name(item["price"]["id"]), item["quantity"]) for item in each["items"]["data"]]
            facts.append((each["status"], items, each["cancel_at_period_end"], paused.get("behavior"), ends // DAY))
            facts.append(self._planned(each["schedule"]))
        bills = buyer.bills()[0]
        facts += sorted((bill["billing_reason"], bill["status"]) for bill in bills)
        amounts += sorted(bill["total"] for bill in bills)
        facts += sorted(each["status"] for each in self.shop.listed("/v1/checkout/sessions", customer=buyer.customer()))
        return facts, amounts

    def _planned(self, schedule: str | None) -> list[Any]:
        if schedule is None:
            return []
        phases = self.shop.world.stripe("GET", f"/v1/subscription_schedules/{schedule}")["phases"]
        return [[(self._name(item["price"]), item["quantity"]) for item in phase["items"]] for phase in phases]


def _is_like(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    pairs = zip(one[2], other[2], strict=False)
    return one[:2] == other[:2] and len(one[2]) == len(other[2]) and all(abs(a - b) <= CLOSE for a, b in pairs)
