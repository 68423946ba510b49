"""A dishonest buyer plays against the gateway: whatever he does, he has what he paid for and kept, and no more.

Buyers use the public API, the hosted page and the portal; the seller refunds and sends invoices, Stripe's time passes,
cards fail, banks take payments back, events are lost, come twice, late and out of order, and two callers come at once.
After every step the gateway's answers are held against a judge that knows Stripe's lists alone, in exact fractions
(`harness/money_model.py`).

In `make test` it is played for a minute on each database with rests between its steps, so that it takes a fraction of a
processor. `GAME_SECONDS` is how long it is played without a rest, `GAME_SEED` where its dice start; it is printed.
Nine games are played by users, the next nine by organisations of two members; each begins with another purchase, or
with the one that `GAME_OPENING` names by its place.
"""

import os
import random
import runpy
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from harness.databases import both_databases
from harness.gateway import make_world
from harness.money_counted import Counter
from harness.money_model import DAYS_UNTIL_DUE, Book, Judge, Lot
from harness.money_seller import OTHER_EMAILS
from harness.money_shop import (
    BAD_CARD,
    CANCEL,
    CHANGE,
    CLOSE,
    DAY,
    OCCUPYING,
    PAUSE,
    PLANS,
    RESUME,
    SOLD,
    UNDO,
    USAGE,
    VIEWER,
    Buyer,
    Shop,
    credited,
    moment,
)
from harness.money_usage import check_billed, check_forwarded
from harness.pacing import Budget
from harness.paths import ROOT

PACED_SHARE = 0.05
"""Of a processor, in `make test`."""
GRACE = 7 * DAY
SLACK = 2 * 3600
"""Stripe charges a renewal an hour after the period's end; the rest is the game's own time."""
OPENINGS = (
    "year",
    "month and pack",
    "plan and add-ons",
    "trial beside a plan",
    "by invoice",
    "month",
    "guest",
    "nothing",
    "trial",
)
plan = st.sampled_from(PLANS)
HOW_REPORTED = st.sampled_from(["once", "twice", "away", "otherwise"])


class Game(Counter):
    """One buyer and one stranger in a shop that others have used before."""

    @initialize(mode=st.sampled_from(["flexible", "classic"]), how=HOW_REPORTED)
    def arrive(self, mode: str, how: str) -> None:
        self.shop.buyers += 1
        opening = OPENINGS[int(os.environ.get("GAME_OPENING", self.shop.first)) % len(OPENINGS)]
        self.buyer = Buyer(self.shop, f"buyer_{self.shop.first}_{self.shop.buyers}")
        self.stranger = Buyer(self.shop, f"stranger_of_{self.buyer.name}")
        self.key, self.let_go = 0, set()
        self.begin_anew()
        match opening:
            case "month and pack":
                self.buyer.buy("month", "pack")
            case "plan and add-ons":
                self.buyer.buy("month", "extra", "more", "calls")
                self._report(70, how)
            case "trial beside a plan":
                self.buyer.buy("month", "tried")
            case "trial":
                self.buyer.buy("taster")
            case "guest" if not self.shop.organisations:  # nothing of an organisation is known by an e-mail
                self.buyer.buy_as_guest("month")
                self.shop.world.data(VIEWER, {}, self.buyer.headers)
            case "by invoice":
                self.buyer.open("month")
                self._sell("month", collection_method="send_invoice", days_until_due=DAYS_UNTIL_DUE, mode=mode)
            case "year" | "month":
                self.buyer.buy(opening)
        if mode == "classic" and opening in {"year", "month"}:  # the seller migrates nobody: he sells anew
            (bought,) = self.buyer.live()
            self.shop.world.stripe("DELETE", f"/v1/subscriptions/{bought['id']}")
            self._sell(opening, default_payment_method=bought["default_payment_method"], mode=mode)

    def _sell(self, price: str, *, mode: str, **given: Any) -> None:
        params = {"customer": self.buyer.customer(), "items[0][price]": self.shop.ids[price], **given}
        self.shop.world.stripe("POST", "/v1/subscriptions", **params, **{"billing_mode[type]": mode})

    # What the buyer does -------------------------------------------------------------------------------------

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

    @rule(price=plan, paid=st.booleans())
    def close_a_checkout(self, price: str, paid: bool) -> None:
        """Close a checkout, and try to pay it all the same; or pay it, and try to close it."""
        if session := self.buyer.open(price):
            for step in (self.buyer.pay, self._close)[:: 1 if paid else -1]:
                step(session)

    def _close(self, session: dict[str, Any]) -> None:
        self.buyer.ask(CLOSE, "expireCheckoutSession", {"id": session["id"]})

    @rule(now=st.booleans(), portal=st.booleans())
    def cancel(self, now: bool, portal: bool) -> None:
        for subscription in self.buyer.live():
            if portal:
                self.buyer.portal(f"/subscriptions/{subscription['id']}/cancel")
            else:
                self._cancel(subscription["id"], "NOW" if now else "AT_PERIOD_END")

    def _cancel(self, its: str, when: str) -> None:
        if when == "NOW" and self.shop.ids["calls"] in [price for price, _ in self.buyer.shape(its)[0]]:
            self._report(7, "once")  # a moment before the end
        answer = self.buyer.ask(CANCEL, "cancelSubscription", {"subscriptionId": its, "when": when})
        if when == "NOW" and answer and not answer["userErrors"]:
            self.ended_now.add(its)

    @rule()
    def resume(self) -> None:
        for subscription in self.buyer.live():
            self.buyer.ask(RESUME, "resumeSubscription", {"subscriptionId": subscription["id"]})

    @rule(
        days=st.sampled_from([None, 3, 45]), renewals=st.integers(0, 2), resume=st.booleans(), at_stripe=st.booleans()
    )
    def pause(self, days: int | None, renewals: int, resume: bool, at_stripe: bool) -> None:
        """Pause before a renewal and take it up after it, at once or later, or let it come by itself.

        Meanwhile make years of it, as Stripe's portal does, whose invoice is void.
        """
        until = None if days is None else datetime.fromtimestamp(self.shop.now() + days * DAY, UTC).isoformat()
        for subscription in self.buyer.live():
            owed = self.buyer.owes(subscription["id"])
            answer = self.buyer.ask(PAUSE, "pauseSubscription", {"subscriptionId": subscription["id"], "until": until})
            assert not (owed and answer and answer["subscription"]) or subscription["pause_collection"], "a way out"
            if at_stripe and answer and not answer["userErrors"]:
                self.buyer.year_at_stripe(subscription)
        for _ in range(renewals):
            self.buyer.wait(31 * DAY + SLACK)
            self.has_what_was_paid_and_kept()
        if resume:
            self.resume()

    @rule(
        names=st.sampled_from([("month",), ("year",), ("free",), ("pro", "pack"), ("pack",), ("tried",), ("taster",)])
    )
    def buy_again(self, names: tuple[str, ...]) -> None:
        self.buyer.buy(*names)

    @rule(other=plan)
    def buy_twice_at_once(self, other: str) -> None:
        """Pay in one tab while the other one asks for another plan, and pay that too."""
        for subscription in self.buyer.live():
            self._cancel(subscription["id"], "NOW")
        if first := self.buyer.open("month"):
            with ThreadPoolExecutor(2) as pool:
                asked = pool.submit(self.buyer.open, other)
                time.sleep(random.uniform(0, 0.3))  # noqa: S311 - so that they meet in many ways
                self.buyer.pay(first)
            second = asked.result()
            if second and second["id"] != first["id"]:
                self.buyer.pay(second)

    @rule(amount=st.sampled_from([40, 900, None, None]), again=st.booleans(), twice=st.booleans())
    def spend(self, amount: int | None, again: bool, twice: bool) -> None:
        """Spend some, or everything that is there; the same once more; and at once by two callers."""
        if self.buyer.customer() is None:
            return
        lots, before = self._settled_balance()
        if before <= 0 or not self.judge.is_certain(lots.lots, self.shop.now()):
            return
        self.key += 1
        amount = amount or before
        keys = [f"spend-{self.key}", f"spend-{self.key}-{int(twice)}" if twice else f"spend-{self.key}"]
        if twice or again:
            with ThreadPoolExecutor(2) as pool:
                answers = list(pool.map(lambda key: self.buyer.spend(amount, key), keys))
        else:
            answers = [self.buyer.spend(amount, keys[0])]
        spent = len({answer["entry"]["id"] for answer in answers if answer})
        assert spent == min(before // amount, 2 if twice else 1), f"{spent} x {amount} of {before}"
        left = (self.buyer.account() or {})["credits"]["balance"]
        assert left == before - spent * amount >= 0
        if spent:
            self.judge.spend(spent * amount, lots.lots, self.shop.now())

    @rule(share=st.sampled_from([2, 2, 1]))
    def spend_and_get_it_back(self, share: int) -> None:
        """Spend everything, have a part of the payment back, and see what the next months bring."""
        self.spend(amount=None, again=False, twice=False)
        self.seller_refunds(share=share)
        self.months_pass(months=3)

    @rule(value=st.sampled_from([1, 900]), how=HOW_REPORTED, then=st.sampled_from(["wait", "change", "nothing"]))
    def use(self, value: int, how: str, then: str) -> None:
        """Report usage, and see it billed with the period, and beside a change."""
        if self.buyer.customer() is None:
            return
        self._report(value, how)
        self.has_what_was_paid_and_kept()
        if then == "wait":
            self.buyer.wait(32 * DAY)
        elif then == "change":
            self.change(price="pro", quantity=None, quote=True)

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

    # What others do ------------------------------------------------------------------------------------------

    @rule(days=st.sampled_from([32, 32, 10, 1, 0.05]))
    def time_passes(self, days: float) -> None:
        self.buyer.wait(days * DAY)

    @rule(months=st.integers(2, 3))
    def months_pass(self, months: int) -> None:
        """Month by month, because what a ledger settles it settles in between."""
        for _ in range(months):
            self.buyer.wait(31 * DAY + SLACK)
            self.has_what_was_paid_and_kept()

    @rule(cancel=st.booleans())
    def get_everything_back(self, cancel: bool) -> None:
        """Have all payments back, of a subscription that ended early or that goes on."""
        if cancel:
            self.cancel(now=True, portal=False)
        for _ in range(3):
            self.seller_refunds(share=1)

    @rule(fault=st.sampled_from(["duplicate", "reorder", "delay", "drop"]), share=st.sampled_from([0, 0.3]))
    def network_is_bad(self, fault: str, share: float) -> None:
        self.shop.chaos(**{fault: share})

    @invariant()
    def rests(self) -> None:
        self.shop.budget.rest()

    # What must hold ------------------------------------------------------------------------------------------

    @invariant()
    def has_what_was_paid_and_kept(self) -> None:
        if not hasattr(self, "buyer") or self.buyer.customer() is None:
            return
        found, balance = self._settled_balance()
        now = self.shop.now()
        least, most = self.judge.balances(found.lots, now)
        assert least - found.slack <= balance <= most + found.slack, (
            f"{balance} credits, and {float(least)} to {float(most)} were paid for and kept"
        )
        theirs = {each["id"]: each for each in self.buyer.at_stripe()}
        for seen in (self.buyer.account() or {})["subscriptions"]:
            self._check_access(seen, theirs[seen["id"]], found, now)
        self._check_customer(theirs.values())
        self._check_usage(theirs.values())

    def _check_access(self, seen: dict[str, Any], theirs: dict[str, Any], found: Book, now: int) -> None:
        paid_until = max(found.paid_until(seen["id"]), theirs["trial_end"] or 0, found.due.get(seen["id"], 0))
        if seen["access"]["allowed"]:
            assert now <= paid_until + GRACE + SLACK, f"access {now - paid_until} s after what is paid: {seen}"
            if until := seen["access"]["until"]:
                assert moment(until) <= paid_until + GRACE + SLACK, (
                    f"until after what is paid and kept ({paid_until}): {seen}"
                )
        elif theirs["status"] in {"active", "canceled"}:
            assert not found.is_paid(seen["id"], now), f"no access to what is paid: {seen}"
        items = [item["price"]["id"] for item in theirs["items"]["data"]]
        if len(items) > 1:
            assert seen["plan"]["id"] == items[0], "not Stripe's order of items"
        untried = any("trial" not in SOLD[self._name(price)] for price in items)
        assert not ((theirs["trial_end"] or 0) > now and untried), "a plan without a trial is tried for nothing"

    def _check_customer(self, theirs: Any) -> None:
        world, customer = self.shop.world, self.buyer.customer()
        groups = [
            SOLD[self._name(item["price"]["id"])]["product"]
            for each in theirs
            if each["status"] in OCCUPYING
            for item in each["items"]["data"]
        ]
        assert len(groups) == len(set(groups)), f"two live subscriptions of one group: {groups}"
        emails = (self.buyer.email, self.stranger.email, *OTHER_EMAILS)
        made = [each for email in emails for each in self.shop.listed("/v1/customers", email=email)]
        theirs_now = {each["id"] for each in made if each["metadata"].get("external_id") == self.buyer.name}
        assert len(theirs_now - self.let_go) <= 1, "two customers"
        bills = self.buyer.bills()[0]
        owed = sum(each["total"] - each["amount_paid"] for each in bills if each["status"] == "paid")
        asked = [
            each for each in bills if each["status"] in {"open", "uncollectible"}
        ]  # the balance pays its part first
        owed += sum((each["ending_balance"] or 0) - each["starting_balance"] for each in asked)
        owed -= sum(credited(each) for each in bills if each["status"] == "paid")  # as balance, or never asked for
        held = world.stripe("GET", f"/v1/customers/{customer}")["balance"]
        assert held == owed, "Stripe's balance is not what is owed"

    def _check_usage(self, theirs: Any) -> None:
        if not self.reported:
            return
        counted, price = self.buyer.counted(), self.shop.ids["calls"]
        check_forwarded(self.reported, counted)
        waiting = self.shop.listed("/v1/invoiceitems", customer=self.buyer.customer(), pending="true")
        lines: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
        for bill in self.buyer.bills()[0]:
            lines[bill["status"] == "draft"] += bill["lines"]["data"]
        lines[False] += waiting
        metered = {
            draft: [each for each in found if each["pricing"]["price_details"]["price"] == price]
            for draft, found in lines.items()
        }
        lives = [
            {"item": item["id"], "start": item["created"], "end": self._billed_until(each, item)}
            for each in theirs
            for item in each["items"]["data"]
            if item["price"]["id"] == price
        ]
        check_billed(counted, metered[False], metered[True], [*lives, *self.lives])
        seen = self.shop.world.data(USAGE, {"name": SOLD["calls"]["meter"]}, self.buyer.headers)["viewer"]["usage"]
        start, end = moment(seen["periodStart"]), moment(seen["periodEnd"])
        used = sum(int(each["payload"]["value"]) for each in counted if start <= each["timestamp"] < end)
        assert seen["value"] == used, f"{seen}, and {used} was used"

    def _billed_until(self, its: dict[str, Any], item: dict[str, Any]) -> int:
        """Up to when the usage of an item must be billed: to its present period, or to an end that bills the rest."""
        end: int = its["ended_at"] or item["current_period_start"]
        rest = its["id"] in self.ended_now or end == item["current_period_end"]
        return end if rest else min(end, item["current_period_start"])

    def teardown(self) -> None:
        if lost := sys.exc_info()[1]:  # hypothesis says only that it is flaky, where it is not so when played again
            print(f"LOST: {type(lost).__name__}: {lost}")  # noqa: T201 - what was seen
        if hasattr(self, "buyer"):
            self.shop.chaos()
            for subscription in self.buyer.live():
                self.shop.world.stripe("DELETE", f"/v1/subscriptions/{subscription['id']}")

    def _name(self, price: str) -> str:
        return next(name for name, its in self.shop.ids.items() if its == price)


def _after(state: tuple[str, int], changes: list[tuple[str, int | None]]) -> tuple[str, int]:
    """What one change after the other makes of a plan and its quantity."""
    for price, quantity in changes:
        state = price, state[1] if quantity is None else quantity
    return state


def test_bounds_of_a_debt_stand_in_order_where_more_credits_leave_less():
    """A prorated lot was spent and has run out, and so has what the other one kept; then its payment goes back."""
    judge = Judge()
    prorated, whole = Lot(Fraction(100), Fraction(149), 0, 1000), Lot(Fraction(51), Fraction(51), 0, 2000)
    judge.spend(149, {"prorated": prorated, "whole": whole}, 0)
    gone = {"prorated": Lot(Fraction(0), Fraction(0), 0, 1000), "whole": whole}
    assert judge.balances(gone, 100_000) == (-149, -100)


def test_the_faults_that_the_game_must_find_can_still_be_put_back():
    faults = runpy.run_path(str(ROOT / "tests/soak/put_faults_back.py"))
    for fault in faults["FAULTS"]:
        assert faults["edited"](fault)


@pytest.mark.timeout(1500)
@pytest.mark.paced
@both_databases
def test_nobody_gets_more_than_was_paid_for_and_kept(database_url):
    number = int(os.environ.get("GAME_SEED") or random.SystemRandom().randrange(10**6))
    until = time.monotonic() + float(os.environ.get("GAME_SECONDS", "60"))
    budget = Budget(1 if "GAME_SECONDS" in os.environ else PACED_SHARE, until)
    steps = settings(
        max_examples=2,  # the first is always the simplest one
        stateful_step_count=10,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # a game takes seconds: none is worth shrinking
    )
    while time.monotonic() < until:
        organisations = bool(number // len(OPENINGS) % 2)
        with make_world(database_url, **({"auth_subject_claim": "org"} if organisations else {})) as world:
            shop = Shop(world, organisations=organisations, budget=budget)
            for _ in range(len(OPENINGS)):
                print(f"GAME_SEED={number}")  # noqa: T201 - to play it again
                shop.first = number
                run_state_machine_as_test(seed(number)(type("Game", (Game,), {"shop": shop})), settings=steps)
                number += 1
                if time.monotonic() >= until:
                    break
