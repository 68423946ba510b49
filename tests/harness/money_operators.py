"""What operators do in the money game, through their own fields: ends, pauses, credits, refunds, quotes and links.

Each act is asked for by an operator who may only look, which changes nothing, and then by two at once under one key,
which does it once.
"""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from harness.money_endings import Endings
from harness.money_model import Lot
from harness.money_shop import DAY, PLANS, VIEWER

ACTS, LOOKS = ({"Authorization": f"Bearer op_{letter * 40}"} for letter in "ab")
TOKENS_OF_OPERATORS = f"ann:act:op_{'a' * 40},bob:read:op_{'b' * 40}"
QUOTE = """query($id: ID!, $sub: ID!, $price: ID!) { operator { customer(id: $id) {
    quoteChange(subscriptionId: $sub, priceId: $price) { preview { dueNow { amount } prorationDate } } } } }"""


class Operators(Endings):
    """The rules of those who work for the seller."""

    def _operate(self, name: str, fields: str, kind: str = "", *, may_fail: bool = False, **given: Any) -> Any:
        """Have two operators do one thing; its payload, None where something must be fixed."""
        self.key += 1
        query = f"mutation($i: Operator{kind or name}Input!) {{ done: operator{name}(input: $i) {{ {fields} "
        query += "userErrors { code } } }"
        variables = {"i": {"idempotencyKey": f"{self.buyer.name}-operator-{self.key}", **given}}

        def ask(who: dict[str, str]) -> Any:
            return self.shop.world.graphql(query, variables, who).json()

        refused = ask(LOOKS)
        assert [each["extensions"]["code"] for each in refused.get("errors", [])] == ["FORBIDDEN"], refused
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(ask, (ACTS, ACTS)))
        assert answers[0] == answers[1], f"one key gave {answers}"
        if errors := answers[0].get("errors"):
            assert may_fail, errors
            assert {each["extensions"]["code"] for each in errors} <= {"NOT_FOUND", "BAD_USER_INPUT"}, errors
            return None
        payload = answers[0]["data"]["done"]
        return None if payload["userErrors"] else payload

    def _whom(self, by_customer: bool) -> dict[str, Any]:
        return {"customerId": self.buyer.customer()} if by_customer else {"externalId": self.buyer.name}

    @rule(act=st.sampled_from(["end", "end now", "resume", "pause", "pause 45"]), by_customer=st.booleans())
    def operator_ends_or_pauses(self, act: str, by_customer: bool) -> None:
        """End, pause or resume what the buyer has, which no operator can under another's name."""
        for subscription in self.buyer.live():
            its, began = subscription["id"], self.shop.now()
            name = act.split(maxsplit=1)[0].replace("end", "cancel").capitalize()
            given: dict[str, Any] = {"subscriptionId": its}
            if name == "Cancel":
                given["when"] = "NOW" if act == "end now" else "AT_PERIOD_END"
                self._use_before(its, given["when"])
            elif name == "Pause":
                given["until"] = self._in_days(45 if act == "pause 45" else None)
            owed, before = self.buyer.owes(its), self.buyer.shape(its)
            named = f"{name}Subscription"
            self._operate(named, "subscription { id }", name, may_fail=True, externalId=self.stranger.name, **given)
            assert self.buyer.shape(its) == before, "an operator acted under another's name"
            done = self._operate(named, "subscription { id }", name, **self._whom(by_customer), **given)
            if done and act == "end now":
                self.ended_now.add(its)
            if done and name == "Pause":
                assert not owed or subscription["pause_collection"], "an operator led the way out of a debt"
                self.note_pause(its, began)

    @rule(amount=st.sampled_from([50, 300]), days=st.sampled_from([None, 20]), by_customer=st.booleans())
    def operator_gives(self, amount: int, days: int | None, by_customer: bool) -> None:
        """Give credits that nobody paid for, for ever or for a while."""
        if self.buyer.customer() is None:
            return
        found, before = self._settled_balance()
        ends = None if days is None else self.shop.now() + days * DAY
        given = {"amount": amount, "reason": "sorry", "expiresAt": self._in_days(days), **self._whom(by_customer)}
        done = self._operate("GrantCredits", "entry { id }", **given)
        assert done, "a gift was refused"
        self.given[done["entry"]["id"]] = Lot(Fraction(amount), Fraction(amount), self.shop.now(), ends)
        if self.judge.is_certain(found.lots, self.shop.now()):
            assert (self.buyer.account() or {})["credits"]["balance"] == before + amount

    @rule(share=st.sampled_from([None, 3, 1]))
    def operator_refunds(self, share: int | None) -> None:
        """Refund a part of an invoice, or all that is left of it: as much goes back, or nothing."""
        bills, _, gone = self.buyer.bills() if self.buyer.customer() else ([], [], {})
        for bill in bills:
            left = bill["amount_paid"] + bill["pre_payment_credit_notes_amount"] - gone[bill["id"]]
            if bill["status"] == "paid" and left > 0:
                amount = None if share is None else max(1, left // share)
                done = self._operate(
                    "RefundInvoice", "refunds { amount { amount } }", "Refund", invoiceId=bill["id"], amount=amount
                )
                said = sum(each["amount"]["amount"] for each in done["refunds"]) if done else 0
                back = self.buyer.bills()[2][bill["id"]] - gone[bill["id"]]
                assert back == said, f"{back} went back, and {said} was told"
                assert not done or back == (left if amount is None else amount), f"{back} of {left}, {amount} asked"
                return

    @rule(price=st.sampled_from(PLANS))
    def operator_quotes(self, price: str) -> None:
        """Ask what a change would cost, which is what the buyer is told; it changes nothing."""
        for subscription in self.buyer.live():
            its = subscription["id"]
            before = self.buyer.shape(its)
            given = {"id": self.buyer.name, "sub": its, "price": self.shop.ids[price]}
            found = self.shop.world.data(QUOTE, given, LOOKS)["operator"]["customer"]["quoteChange"]["preview"]
            due, date = self.buyer.quote(its, price)
            assert (found is None) == (date is None), f"{found}, and the buyer was told {due} at {date}"
            if found and found["prorationDate"] == date:
                assert found["dueNow"]["amount"] == due, f"{found}, and the buyer was told {due}"
            assert self.buyer.shape(its) == before, "a quote changed something"

    @rule(back=st.booleans())
    def operator_unlinks(self, back: bool) -> None:
        """Take the customer from the buyer, who asks for changes meanwhile; give it back, or let it go.

        Once it is taken nothing changes any more, also by what was asked for before and has waited.
        """
        customer = self.buyer.customer()
        if customer is None:
            return
        self.buyer.settle()
        whose = {"externalId": self.buyer.name, "customerId": customer}
        live = [each["id"] for each in self.buyer.live()]

        def change(its: str, price: str) -> None:
            time.sleep(random.uniform(0, 0.1))  # noqa: S311 - so that they meet in many ways
            self.buyer.change(its, price)

        with ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(change, its, price) for its in live[:1] for price in ("pro", "year", "month")]
            assert self._operate("UnlinkCustomer", "customer { id }", "Link", **whose), "not unlinked"
            before = [self.buyer.shape(its) for its in live]
        for each in asked:
            each.result()
        assert [self.buyer.shape(its) for its in live] == before, "changed what is another's"
        assert not any(self.buyer.change(its, price) for its in live for price in ("pro", "month")), "changed another's"
        assert self.buyer.customer() is None
        self._has_nothing(self.buyer)
        self._has_nothing(self.stranger)
        if back:
            assert self._operate("LinkCustomer", "customer { id }", "Link", **whose), "not linked again"
            assert self.buyer.customer() == customer
            return
        for each in self.shop.listed("/v1/subscriptions", customer=customer):
            self.shop.world.stripe("DELETE", f"/v1/subscriptions/{each['id']}")
        self.let_go.add(customer)
        self.begin_anew()

    def _has_nothing(self, who: Any) -> None:
        seen = self.shop.world.data(VIEWER, {}, who.headers)["viewer"]
        assert (seen["subscriptions"], seen["invoices"]["nodes"], seen["credits"]["balance"]) == ([], [], 0)
