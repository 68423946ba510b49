"""What the seller, the bank and the back end do in the money game: money back, gifts, and whose customer is whose."""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from harness.money_kept import overpaid
from harness.money_model import Book, Lot, book
from harness.money_shop import CREDIT, GIVE, LINK, REFUND, UPDATE, VIEWER, Buyer, Shop
from harness.money_wallet import Judge

OTHER_EMAILS = ("moved@example.com", "linked@example.com")


class Seller(RuleBasedStateMachine):
    """The rules of those who are no buyers.

    Attributes:
        shop: where it is played.
        buyer: who plays.
        stranger: a user who has bought nothing.
        key: how many keys were used.
        judge: what may be left of the credits.
        given: gifts, by their key.
        reported: usage, by its identifier.
        ended_now: subscriptions that the buyer has ended at once.
        lives: of items that were billed by use and are gone.
        let_go: the buyer's customers that are not any more.
        judged: the invoices that were held against what was kept when they were made.
    """

    shop: Shop
    buyer: Buyer
    stranger: Buyer
    key: int
    judge: Judge
    let_go: set[str]

    def begin_anew(self) -> None:
        """Forget what was spent, given and used: the buyer has another customer."""
        self.judge = Judge()
        self.given: dict[str, Lot] = {}
        self.reported: dict[str, int] = {}
        self.ended_now: set[str] = set()
        self.lives: list[dict[str, Any]] = []
        self.judged: set[str] = set()

    def _read_book(self) -> Book:
        invoices, packs, gone = self.buyer.bills()
        found = book(invoices, packs, gone, self.shop.prices, is_gift=self._is_gift, is_withheld=self._is_withheld)
        found.lots |= self.given
        return found

    def _is_gift(self, bill: dict[str, Any], its: str) -> bool:
        """Whether an invoice of a subscription is void because the seller lets its time pass for nothing."""
        raise NotImplementedError

    def _is_withheld(self, bill: dict[str, Any], its: str) -> bool:
        """Whether an invoice of a subscription is void because of a pause of the customer's own."""
        raise NotImplementedError

    def _settled_balance(self) -> tuple[Book, int]:
        self.buyer.settle()
        account = self.buyer.account()
        assert account is not None
        entries = self.shop.world.rows("credit_entry", customer_id=account["id"])
        accounts = self.shop.world.rows("credit_account", customer_id=account["id"])
        assert sum(each["amount"] for each in entries) == sum(each["balance"] for each in accounts)
        return self._read_book(), account["credits"]["balance"]

    def check_credited(self) -> None:
        """Hold what new changes have left in the balance; what goes back later is the seller's to take away."""
        bills, _, gone = self.buyer.bills() if self.buyer.customer() else ([], [], {})
        beyond = overpaid(bills, gone)
        for bill in bills:
            if bill["id"] not in self.judged and bill["status"] == "paid":
                self.judged.add(bill["id"])
                more = beyond[bill["id"]] if bill["billing_reason"] == "subscription_update" else 0
                assert more <= len(bill["lines"]["data"]), f"{float(more)} more in the balance than was kept"

    @rule(share=st.sampled_from([3, 2, 2, 1, 1]))
    def seller_refunds(self, share: int) -> None:
        customer = self.buyer.customer()
        for charge in self.shop.listed("/v1/charges", customer=customer) if customer else ():
            left = charge["amount_captured"] - charge["amount_refunded"]
            if left and charge["status"] == "succeeded" and not charge["disputed"]:
                self.shop.world.stripe("POST", "/v1/refunds", charge=charge["id"], amount=max(1, left // share))
                return

    @rule(amount=st.sampled_from([50, 300]), other=st.booleans())
    def seller_gives(self, amount: int, other: bool) -> None:
        """Give credits that nobody paid for, by two callers with one key; then others under the same key."""
        if self.buyer.customer() is None:
            return
        self.key += 1  # of the game and not of the customer, who may be another by now
        before, key = self._settled_balance()[1], f"{self.buyer.name}-given-{self.key}"
        given = {"externalId": self.buyer.name, "reason": "as a gift", "idempotencyKey": key}
        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(self.buyer.back_end, GIVE, "grantCredits", amount=amount, **given) for _ in range(2)]
        entries = {(each.result() or {"entry": {}})["entry"].get("id") for each in asked}
        assert len(entries) == 1, f"one key gave {entries}"
        assert None not in entries, "a gift was refused"
        self.given[key] = Lot(Fraction(amount), Fraction(amount), self.shop.now(), None)
        if other:
            assert self.buyer.back_end(GIVE, "grantCredits", amount=amount + 1, **given) is None
        if self.judge.is_certain(self._settled_balance()[0].lots, self.shop.now()):
            assert (self.buyer.account() or {})["credits"]["balance"] == before + amount

    @rule(share=st.sampled_from([3, 2, 1]))
    def seller_refunds_an_invoice(self, share: int) -> None:
        """Refund through the gateway, by two callers with one key: as much goes back as was asked for, or nothing."""
        bills, _, gone = self.buyer.bills() if self.buyer.customer() else ([], [], {})
        for bill in bills:
            left = bill["amount_paid"] + bill["pre_payment_credit_notes_amount"] - gone[bill["id"]]
            if bill["status"] == "paid" and left > 0:
                amount = max(1, left // share)
                key = f"{bill['id']}-{gone[bill['id']]}"
                given = {"invoiceId": bill["id"], "amount": amount, "idempotencyKey": key}
                with ThreadPoolExecutor(2) as pool:
                    asked = [pool.submit(self.buyer.back_end, REFUND, "refundInvoice", **given) for _ in range(2)]
                made = {answer["refund"]["id"] for each in asked if (answer := each.result())}
                assert len(made) <= 1, f"one key made {made}"
                back = self.buyer.bills()[2][bill["id"]] - gone[bill["id"]]
                assert back == amount * len(made), f"{back} went back, and {amount * len(made)} was asked for"
                return

    @rule(share=st.sampled_from([3, 2, 1]), open_ones=st.booleans())
    def seller_credits_an_invoice(self, share: int, open_ones: bool) -> None:
        """Credit an invoice by two callers with one key: it is balance for later, or less to be paid, and no more."""
        bills, _, gone = self.buyer.bills() if self.buyer.customer() else ([], [], {})
        for bill in bills:
            paid = bill["amount_paid"] + bill["pre_payment_credit_notes_amount"]
            left = bill["amount_remaining"] if open_ones else paid - gone[bill["id"]]
            if bill["status"] == ("open" if open_ones else "paid") and left > 0:
                key = f"{bill['id']}-credit-{gone[bill['id']]}"
                given = {"invoiceId": bill["id"], "amount": max(1, left // share), "idempotencyKey": key}
                made = self._by_two(CREDIT, "creditInvoice", "creditNote", **given)
                assert len(made) <= 1, f"one key made {made}"
                back = self.buyer.bills()[2][bill["id"]] - gone[bill["id"]]
                assert back == given["amount"] * len(made), f"{back} was credited, and {given} was asked for"
                more = {**given, "amount": bill["total"] + 1, "idempotencyKey": f"{key}-more"}
                assert self.buyer.back_end(CREDIT, "creditInvoice", **more) is None, "credited more than was paid"
                return

    def _by_two(self, query: str, name: str, made: str, /, **given: Any) -> set[str]:
        """Ask for the same by two callers at once; the ids of what was made."""
        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(self.buyer.back_end, query, name, **given) for _ in range(2)]
        return {answer[made]["id"] for each in asked if (answer := each.result())}

    @rule(to=st.sampled_from(["moved", "the stranger's", "named"]))
    def seller_updates_the_customer(self, to: str) -> None:
        """Write another address on the customer, also that of somebody who comes by it: it stays the buyer's."""
        its = self.buyer.customer()
        if its is None:
            return
        self.key += 1
        changes = {"moved": OTHER_EMAILS[0], "the stranger's": self.stranger.email}
        given = {"name": f"Ada {self.key}"} if to == "named" else {"email": changes[to]}
        key = {"externalId": self.buyer.name, "idempotencyKey": f"{self.buyer.name}-update-{self.key}"}
        assert self._by_two(UPDATE, "updateCustomer", "customer", **key, **given) == {its}
        theirs = self.shop.world.stripe("GET", f"/v1/customers/{its}")
        assert given.items() <= theirs.items(), f"{given} was asked for"
        self._stranger_has_nothing()
        assert self.buyer.customer() == its

    def _stranger_has_nothing(self) -> None:
        seen = self.shop.world.data(VIEWER, {}, self.stranger.headers)["viewer"]
        assert (seen["subscriptions"], seen["invoices"]["nodes"], seen["credits"]["balance"]) == ([], [], 0)

    @rule()
    def seller_gives_the_customer_to_a_stranger(self) -> None:
        """Link the buyer's customer to the buyer again, and to somebody else, who does not get it."""
        if its := self.buyer.customer():
            self.key += 1
            key = f"{self.buyer.name}-link-{self.key}"
            given = {"customerId": its, "externalId": self.buyer.name, "idempotencyKey": key}
            assert self._by_two(LINK, "linkCustomer", "customer", **given) == {its}
            theirs = {**given, "externalId": self.stranger.name, "idempotencyKey": f"{key}-theirs"}
            assert self.buyer.back_end(LINK, "linkCustomer", **theirs) is None, "one customer of two users"
            assert self.buyer.customer() == its
            self._stranger_has_nothing()

    @rule(ended=st.booleans())
    def seller_links_another_customer(self, ended: bool) -> None:
        """Give the buyer a customer that bought at Stripe; what the old one has is the buyer's no more."""
        old = self.buyer.customer()
        if old is None:
            return
        for subscription in self.buyer.live():
            self.shop.world.stripe("DELETE", f"/v1/subscriptions/{subscription['id']}")
        new = self._bought_at_stripe(ended=ended)
        self.key += 1
        given = {"customerId": new, "externalId": self.buyer.name}
        key = f"{self.buyer.name}-link-{self.key}"
        assert self._by_two(LINK, "linkCustomer", "customer", **given, idempotencyKey=key) == {new}
        assert self.buyer.customer() == new
        self.let_go.add(old)
        self.begin_anew()
        # whoever writes the old one at Stripe, where it is still said to be the buyer's, gives nothing back
        self.shop.world.stripe("POST", f"/v1/customers/{old}", name="Old")
        self.buyer.settle()
        assert self.buyer.customer() == new

    def _bought_at_stripe(self, *, ended: bool) -> str:
        """Make a customer of nobody's who has paid for a month; its id."""
        stripe = self.shop.world.stripe
        new: str = stripe("POST", "/v1/customers", email=OTHER_EMAILS[1])["id"]
        card = stripe("POST", "/v1/payment_methods/pm_card_visa/attach", customer=new)["id"]
        bought = {"items[0][price]": self.shop.ids["month"], "default_payment_method": card}
        its = stripe("POST", "/v1/subscriptions", customer=new, **bought)["id"]
        if ended:
            stripe("DELETE", f"/v1/subscriptions/{its}")
        self.buyer.settle()
        return new

    @rule(won=st.sampled_from(["losing_evidence", "losing_evidence", "winning_evidence"]))
    def bank_takes_it_back(self, won: str) -> None:
        """Pay a pack with a card that disputes at once; the seller answers."""
        if session := self.buyer.open("pack"):
            self.buyer.pay(session, card_number="4000 0000 0000 0259")
            self.buyer.settle()
            for dispute in self.shop.listed("/v1/disputes"):
                if dispute["status"] == "needs_response":
                    given = {"evidence[uncategorized_text]": won}
                    self.shop.world.stripe("POST", f"/v1/disputes/{dispute['id']}", **given)
