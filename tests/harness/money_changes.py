"""Changes of plans in the money game: at once, for later, of several items, out of a debt, and two at a time."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from harness.money_shop import (
    BAD_CARD,
    CANCEL,
    CHANGE,
    DAY,
    PLANS,
    RESUME,
    SLACK,
    SOLD,
    UNDO,
    VIEWER,
    moment,
)
from harness.money_twins import Twins

plan = st.sampled_from(PLANS)


class Changes(Twins):
    """The rules about what is changed."""

    @rule(share=st.sampled_from([3, 2]), prices=st.lists(plan, min_size=1, max_size=3))
    def get_a_part_back(self, share: int, prices: list[str]) -> None:
        """Have a part of a payment back, and turn the rest of the time into balance by changes."""
        self.has_what_was_paid_and_kept()
        for price in prices:
            self.seller_refunds(share=share)
            self.buyer.settle()  # what went back a moment ago the gateway knows when it is told
            self.change(price=price, quantity=None, quote=False)
            self.check_credited()

    @rule(price=plan, quantity=st.sampled_from([None, 1, 2]), quote=st.booleans())
    def change(self, price: str, quantity: int | None, quote: bool) -> None:
        for subscription in self.buyer.live():
            self._change(subscription["id"], price, quantity, quote=quote)

    def _change(self, its: str, price: str, quantity: int | None = None, *, quote: bool = False) -> None:
        due, date = self.buyer.quote(its, price, quantity) if quote else (None, None)
        owed, before = self.buyer.owes(its), self.buyer.shape(its)
        answer = self.buyer.change(its, price, quantity, date)
        after = self.buyer.shape(its)
        if answer is None:
            assert after == before, "a refused change changed something at Stripe"
            return
        assert not owed or after == before, "changed out of a debt"
        changed = [each for each in after[0] if each not in before[0]]
        assert (len(after[0]), len(changed)) <= (len(before[0]), 1), f"{before[0]} became {after[0]}"
        extra = [each for each in before[0] if SOLD[self._name(each[0])]["product"] != "plan"]
        assert len(before[0]) == 1 or all(each in after[0] for each in extra), (
            f"the change took another item: {before[0]} became {after[0]}"
        )
        if due is not None and after[-1] > before[-1]:
            assert due in {answer["invoice"]["total"]["amount"], answer["invoice"]["amountDue"]["amount"]}

    @rule(
        price=st.sampled_from([None, None, *PLANS]),
        toggled=st.sets(st.sampled_from(["extra", "more", "calls"]), min_size=1),
        quote=st.booleans(),
    )
    def change_several(self, price: str | None, toggled: set[str], quote: bool) -> None:
        """Change the plan, and take up the add-ons that are not there and drop those that are, all in one."""
        for subscription in self.buyer.live():
            its, before = subscription["id"], self.buyer.shape(subscription["id"])
            have = {self._name(each) for each, _ in before[0]}
            if have.isdisjoint(PLANS):
                continue
            items = [{"priceId": self.shop.ids[name], "remove": name in have} for name in sorted(toggled)]
            items += [{"priceId": self.shop.ids[price]}] if price else []
            metered = self._metered(its)
            due, date = self.buyer.quote_items(its, items) if quote else (None, None)
            owed, answer = self.buyer.owes(its), self.buyer.change_items(its, items, date)
            after = self.buyer.shape(its)
            if answer is None:
                assert after == before, "a refused change changed something at Stripe"
                continue
            assert not owed or after == before, "changed out of a debt"
            wanted = {price} if price else have & set(PLANS)
            assert {self._name(each) for each, _ in after[0]} == wanted | ((have - set(PLANS)) ^ toggled)
            if due is not None and after[-1] > before[-1]:
                assert due in {answer["invoice"]["total"]["amount"], answer["invoice"]["amountDue"]["amount"]}
            gone = metered.keys() - self._metered(its).keys()
            self.lives += [{"item": item, "start": metered[item], "end": self.shop.now()} for item in gone]

    def _metered(self, its: str) -> dict[str, int]:
        """The item of a subscription that is billed by use, and when it began."""
        items = self.shop.world.stripe("GET", f"/v1/subscriptions/{its}")["items"]["data"]
        return {each["id"]: each["created"] for each in items if each["price"]["id"] == self.shop.ids["calls"]}

    @rule(price=plan, quantity=st.sampled_from([None, 1, 2]), then=st.sampled_from(["undo", "wait", "wait", "go on"]))
    def change_later(self, price: str, quantity: int | None, then: str) -> None:
        """Plan a change for the end of the period: nothing happens now, and then what was said."""
        for subscription in self.buyer.live():
            its = subscription["id"]
            owed, before = self.buyer.owes(its), self.buyer.shape(its)
            answer = self.buyer.change_later(its, price, quantity)
            assert self.buyer.shape(its) == before, "a change that waits changed something"
            waiting = answer and answer["pendingChange"]
            assert not (owed and waiting), "planned a way out of a debt"
            if then == "undo" and waiting:
                self.buyer.ask(UNDO, "cancelPendingChange", {"subscriptionId": its})
                assert self.buyer.plans(its) is None, "undone, and planned still"
            elif then == "wait" and waiting:
                self._see_renewal(its, price, waiting)

    def _see_renewal(self, its: str, price: str, waiting: dict[str, Any]) -> None:
        """Wait for the renewal, if it is near: it costs what was said, of what was planned."""
        left = moment(waiting["at"]) - self.shop.now()
        if left > 32 * DAY:
            return
        known = {bill["id"] for bill in self.buyer.bills()[0]}
        self.buyer.wait(left + SLACK)
        new = [bill for bill in self.shop.listed("/v1/invoices", subscription=its) if bill["id"] not in known]
        cycles = [bill["total"] for bill in new if bill["billing_reason"] == "subscription_cycle"]
        assert cycles[-1:] == [waiting["dueAtRenewal"]["amount"]], f"{cycles} came, and {waiting} was said"
        assert self.shop.ids[price] in [each[0] for each in self.buyer.shape(its)[0]], "the plan did not come"

    @rule(prices=st.lists(plan, min_size=3, max_size=4))
    def flip(self, prices: list[str]) -> None:
        """Go back and forth between plans, whose unused time comes back as balance."""
        for subscription in self.buyer.live():
            for price in ("month", "year", *prices):
                self._change(subscription["id"], price)

    @rule(price=plan, whole=st.booleans())
    def do_not_pay_and_change(self, price: str, whole: bool) -> None:
        self.buyer.take_card(BAD_CARD)
        self.buyer.wait((32 if whole else 30.5) * DAY)
        self.buyer.settle()
        for subscription in self.buyer.live():
            self._change(subscription["id"], price)

    @rule(plans=st.permutations(PLANS), other=st.sampled_from([None, None, 1]), quote=st.booleans())
    def change_in_two_tabs(self, plans: list[str], other: int | None, quote: bool) -> None:
        """Two changes at once, of which one keeps the quantity: the result is that of one after the other."""
        for subscription in self.buyer.live():
            for quantity, (first, second) in enumerate((plans[:2], plans[2:4]), 2):
                if len(self.buyer.shape(subscription["id"])[0]) == 1:
                    self._change_twice(subscription["id"], [(first, quantity), (second, other)], quote=quote)

    def _change_twice(self, its: str, asked: list[tuple[str, int | None]], *, quote: bool) -> None:
        before, old = self.buyer.shape(its)[0], {bill["id"] for bill in self.buyer.bills()[0]}
        quotes = [self.buyer.quote(its, *each) if quote else (None, None) for each in asked]
        with ThreadPoolExecutor(2) as pool:
            pairs = zip(asked, quotes, strict=True)
            jobs = [pool.submit(self.buyer.change, its, *each, date) for each, (_, date) in pairs]
        answers = [job.result() for job in jobs]
        for answer, (due, _) in zip(answers, quotes, strict=True):
            bill = answer and answer["invoice"]
            if bill and due is not None and bill["id"] not in old:
                assert due in {bill["total"]["amount"], bill["amountDue"]["amount"]}, "charged otherwise than quoted"
        done = [each for each, answer in zip(asked, answers, strict=True) if answer]
        ((price, quantity),) = before
        serial = {_after((self._name(price), quantity), order) for order in (done, done[::-1])}
        ((price, quantity),) = self.buyer.shape(its)[0]
        assert (self._name(price), quantity) in serial, f"{before} and {done} became {self._name(price)} x {quantity}"

    @rule()
    def stranger_meddles(self) -> None:
        seen = self.shop.world.data(VIEWER, {}, self.stranger.headers)["viewer"]
        assert (seen["subscriptions"], seen["invoices"]["nodes"], seen["credits"]["balance"]) == ([], [], 0)
        for subscription in self.buyer.at_stripe():
            before = self.buyer.shape(subscription["id"])
            for query, given in ((CHANGE, {"priceId": self.shop.ids["pro"]}), (CANCEL, {"when": "NOW"}), (RESUME, {})):
                variables = {"input": {"subscriptionId": subscription["id"], **given}}
                answer = self.shop.world.graphql(query, variables, self.stranger.headers).json()
                problems = [each["extensions"]["code"] for each in answer.get("errors", [])]
                assert problems == ["NOT_FOUND"], answer
            assert self.buyer.shape(subscription["id"]) == before


def _after(state: tuple[str, int], changes: list[tuple[str, int | None]]) -> tuple[str, int]:
    """What one change after the other makes of a plan and its quantity."""
    for price, quantity in changes:
        state = price, state[1] if quantity is None else quantity
    return state
