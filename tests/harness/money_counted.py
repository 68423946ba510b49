"""What a buyer consumes, holds and commits in the money game, and what of it the model allows.

The model knows what it asked, what was answered and Stripe's lists alone: no more is admitted than the limit in a
period of a plan that gives the feature, nor more than there are credits, nor what costs more than the cap; and nothing
is refused that surely has room.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from harness.gateway import SERVICE
from harness.money_operators import Operators
from harness.money_shop import DAY, SOLD, TOKENS

COUNT = "count { used held } userErrors { code }"
CONSUME = f"mutation($input: ConsumeInput!) {{ consume(input: $input) {{ identifier {COUNT} }} }}"
HOLD = f"mutation($input: HoldInput!) {{ hold(input: $input) {{ hold {{ id }} {COUNT} }} }}"
COMMIT = f"mutation($input: CommitHoldInput!) {{ commitHold(input: $input) {{ {COUNT} }} }}"
RELEASE = f"mutation($input: ReleaseHoldInput!) {{ releaseHold(input: $input) {{ {COUNT} }} }}"
CAP = """mutation($input: SetUsageControlsInput!) { setUsageControls(input: $input) { userErrors { code } } }"""
GIVING = {"active", "trialing", "past_due"}
MARGIN = 2
"""Seconds between Stripe's clock as the game reads it and as the gateway does."""


@dataclass
class Taken:
    """An amount that was used, or is held up to a moment, and when it was asked for on Stripe's clock."""

    amount: int
    asked: int
    until: float = float("inf")


class Counter(Operators):
    """The rules about what is counted.

    Attributes:
        tokens: what was used of the feature with a limit.
        held: what was held of it, by the hold's id.
        minutes: what was used of the feature that a meter counts.
    """

    def begin_anew(self) -> None:
        """Forget what was counted as well."""
        super().begin_anew()
        self.tokens: list[Taken] = []
        self.held: dict[str, Taken] = {}
        self.minutes: list[Taken] = []

    def _use(self, feature: str, amount: int, document: str = CONSUME, callers: int = 1, **more: Any) -> dict[str, Any]:
        """Ask as the application's back end, by several callers under one key: all are answered alike."""
        self.key += 1
        given = {"externalId": self.buyer.name, "feature": feature, "amount": amount, **more}
        given["idempotencyKey"] = f"{self.buyer.name}-use-{self.key}"
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda _: self._answer(document, given), range(callers)))
        assert len({(str(each["userErrors"]), each.get("identifier")) for each in answers}) == 1, answers
        return answers[-1]

    def _answer(self, document: str, given: dict[str, Any]) -> dict[str, Any]:
        ((answer),) = self.shop.world.data(document, {"input": given}, SERVICE).values()
        return answer

    def _allowed(self) -> bool:
        """Whether a plan with the features gives access, of which no pause has kept the present from being billed."""
        plans = [price for name, price in self.shop.ids.items() if SOLD[name]["product"] == "plan"]
        seen = (self.buyer.account() or {"subscriptions": []})["subscriptions"]
        giving = [
            each["id"] for each in seen if each["access"]["allowed"] and each["plan"] and each["plan"]["id"] in plans
        ]
        found, now = self._read_book(), self.shop.now()
        return not all(found.is_withheld(its, now) for its in giving)

    def _since(self, *names: str) -> int:
        """When the latest period began of the buyer's items of some prices."""
        prices = {self.shop.ids[name] for name in names}
        items = [item for each in self.buyer.at_stripe() if each["status"] in GIVING for item in each["items"]["data"]]
        starts = [item["current_period_start"] for item in items if item["price"]["id"] in prices]
        return max(starts, default=0)

    def _ready(self) -> bool:
        if self.buyer.customer() is None:
            return False
        self.buyer.settle()
        return True

    def _is_refused(self, answer: dict[str, Any], code: str) -> bool:
        """Whether it was refused for this; a feature is refused to those alone who have no plan."""
        codes = [each["code"] for each in answer["userErrors"]]
        assert set(codes) <= {code, "FEATURE_NOT_ALLOWED"}, answer
        assert "FEATURE_NOT_ALLOWED" not in codes or not self._allowed(), answer
        return bool(codes)

    def _check_tokens(self, answer: dict[str, Any], amount: int, before: int, reserved: int = 0) -> bool:
        """Hold what was answered about an amount against the limit; whether it was admitted, or `reserved` is held."""
        refused, now = self._is_refused(answer, "LIMIT_REACHED"), self.shop.now()
        perhaps = sum(each.amount for each in self.tokens)
        perhaps += sum(each.amount for each in self.held.values() if each.until + MARGIN > before)
        if answer["count"]:
            shown = answer["count"]["used"] + answer["count"]["held"]
            more = reserved if refused else amount
            assert shown <= min(TOKENS, perhaps + more), f"{shown} is shown, and {perhaps} was taken"
        if refused:
            full = any(each["code"] == "LIMIT_REACHED" for each in answer["userErrors"])
            assert not full or perhaps + amount > TOKENS, f"{amount} was refused beside {perhaps} at most"
            return False
        since = self._since(*(name for name, terms in SOLD.items() if terms["product"] == "plan"))
        surely = sum(each.amount for each in self.tokens if each.asked > since + MARGIN)
        surely += sum(each.amount for each in self.held.values() if each.until - MARGIN > now)
        assert surely + amount <= TOKENS, f"{amount} was admitted beside {surely} since {since}"
        return True

    @rule(amount=st.sampled_from([7, 40, 60]), callers=st.sampled_from([1, 2]), again=st.booleans())
    def consume_tokens(self, amount: int, callers: int, again: bool) -> None:
        """Use some of a feature with a limit; after a change of plan, and in the next period."""
        for place in range(1 + again):
            if place:
                self.buyer.wait(31 * DAY)
            if not self._ready():
                return
            before = self.shop.now()
            answer = self._use("tokens", amount, callers=callers)
            if self._check_tokens(answer, amount, before):
                self.tokens.append(Taken(amount, before))

    @rule(amount=st.sampled_from([30, 60]), then=st.sampled_from(["commit", "more", "release", "lapse", "forget"]))
    def hold_tokens(self, amount: int, then: str) -> None:
        """Hold some, and commit a part or more of it, let go of it, let it lapse, or die."""
        if not self._ready():
            return
        before = self.shop.now()
        answer = self._use("tokens", amount, HOLD, callers=2, seconds=600)
        if not self._check_tokens(answer, amount, before):
            return
        hold = {"holdId": answer["hold"]["id"]}
        self.held[hold["holdId"]] = Taken(amount, before, self.shop.now() + 600)
        if then == "lapse":
            self.buyer.wait(601)
        elif then == "release":
            assert self._answer(RELEASE, hold)["userErrors"] == []
            del self.held[hold["holdId"]]
        elif then in {"commit", "more"}:
            actual = amount - 7 if then == "commit" else amount + 7
            mine, before = self.held.pop(hold["holdId"]), self.shop.now()
            if self._check_tokens(self._answer(COMMIT, {**hold, "actual": actual}), actual, before, mine.amount):
                self.tokens.append(Taken(actual, before))
            else:
                assert then == "more", "what is held was refused"
                self.held[hold["holdId"]] = mine

    @rule(share=st.sampled_from([1, 2, 3]), held=st.booleans())
    def consume_credits(self, share: int, held: bool) -> None:
        """Pay a feature by credits, at once or held first: nobody spends meanwhile what is held, and all is exact."""
        if not self._ready():
            return
        lots, before = self._settled_balance()
        if before <= 0 or not self.judge.is_certain(lots.lots, self.shop.now()):
            return
        amount = max(1, before // share)
        answer = self._use("images", before if held else amount, HOLD if held else CONSUME, callers=2)
        if self._is_refused(answer, "INSUFFICIENT_CREDITS"):
            assert answer["userErrors"][0]["code"] == "FEATURE_NOT_ALLOWED", f"{before} were there: {answer}"
            return
        if held:
            self.key += 1
            assert self.buyer.spend(1, f"beside-{self.key}") is None, "what is held was spent"
            commit = {"holdId": answer["hold"]["id"], "actual": amount}
            assert self._answer(COMMIT, commit)["userErrors"] == self._answer(COMMIT, commit)["userErrors"] == []
        left = (self.buyer.account() or {})["credits"]["balance"]
        assert left == before - amount, f"{left} are left of {before} after {amount}"
        self.judge.spend(amount, lots.lots, self.shop.now())

    @rule(amounts=st.lists(st.sampled_from([1, 4, 9]), min_size=2, max_size=4))
    def consume_up_to_a_cap(self, amounts: list[int]) -> None:
        """Use what a meter counts, at most ten calls' worth of it while there is a cap."""
        if not self._ready():
            return
        cost, cap = SOLD["calls"]["amount"], SOLD["calls"]["amount"] * 10
        self._set_cap(spendCap=cap, currency="USD")
        for amount in amounts:
            before = self.shop.now()
            answer = self._use("minutes", amount, callers=2)
            since = self._since(*(name for name in SOLD if SOLD[name]["product"] in {"plan", "calls"}))
            is_billed = self._since("calls") > 0
            if self._is_refused(answer, "SPEND_CAP_REACHED"):
                perhaps = sum(self.reported.values()) + amount
                full = any(each["code"] == "SPEND_CAP_REACHED" for each in answer["userErrors"])
                assert not full or (is_billed and perhaps * cost > cap), f"{amount} was refused beside {self.reported}"
                continue
            surely = sum(each.amount for each in self.minutes if each.asked > since + MARGIN) + amount
            assert not is_billed or surely * cost <= cap, f"{surely} were used, for more than {cap}"
            self.minutes.append(Taken(amount, before))
            self.reported[answer["identifier"]] = amount
        self._set_cap(spendCap=None)

    def _set_cap(self, **cap: Any) -> None:
        self.key += 1
        given = {"externalId": self.buyer.name, "idempotencyKey": f"{self.buyer.name}-cap-{self.key}", **cap}
        assert self._answer(CAP, given)["userErrors"] == []
