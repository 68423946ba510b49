"""What the hosted checkout page says about a session: a pure reading of Stripe's objects, no state of its own."""

from typing import Any

from gateway.sandbox.core import money as arithmetic
from gateway.sandbox.core.periods import DAY
from gateway.sandbox.pages import formats

Json = dict[str, Any]

PAY_LABELS = {"book": "Book", "donate": "Donate", "subscribe": "Subscribe"}


def methods(session: Json) -> list[str]:
    """Return the ways to pay that the page offers, in the session's order: ``card``, ``bank``."""
    names = {"card": "card", "sepa_debit": "bank", "us_bank_account": "bank"}
    offered = [names[each] for each in session["payment_method_types"] if each in names]
    return list(dict.fromkeys(offered)) or ["card"]


class CheckoutView:
    """A session's order summary and wording in one locale.

    Args:
        session: the Checkout Session.
        lines: its line items, each with its price and that price's product expanded.
        discounts: what is taken off: each a ``coupon`` and, if the buyer entered one, its ``code``.
        trial_end: when the trial ends (Unix seconds), None without a trial.
        now: the sandbox's time.
        locale: of figures and dates.
    """

    def __init__(
        self,
        session: Json,
        lines: list[Json],
        *,
        discounts: list[Json],
        trial_end: int | None,
        now: int,
        locale: str,
    ) -> None:
        self.session, self.items, self.discounts = session, lines, discounts
        self.currency = session["currency"]
        self.trial_days = -(-(trial_end - now) // DAY) if trial_end else 0
        self.locale = locale

    @property
    def title(self) -> str:
        """What the buyer is about to do."""
        if self.session["mode"] == "setup":
            return "Save a payment method for later"
        first, *more = [item["price"]["product"]["name"] for item in self.items]
        name = first if not more else f"{first} and {len(more)} more"
        if self.session["mode"] == "payment":
            return f"Pay for {name}"
        return f"{'Try' if self.trial_days else 'Subscribe to'} {name}"

    @property
    def headline(self) -> str:
        """The one figure that matters."""
        if self.session["mode"] == "setup":
            return "No charge today"
        if self.trial_days:
            return f"{self.trial_days} day{'s' if self.trial_days > 1 else ''} free"
        return self._money(self.session["amount_total"])

    @property
    def per(self) -> str:
        """The interval beside the headline, if that amount is what every period costs."""
        due = self.session["amount_total"]
        return self._interval if not self.trial_days and not self._metered and self._recurring == due else ""

    @property
    def subline(self) -> str:
        """What comes after today."""
        if self.session["mode"] == "setup":
            return "Your card is checked and kept for future payments."
        if self.session["mode"] != "subscription" or self.per:
            return ""
        parts = [self._money(self._recurring)] if self._recurring else []
        if self._metered:
            parts.append("your usage")
        return f"Then {' plus '.join(parts)} {self._interval}" if parts else ""

    @property
    def lines(self) -> list[Json]:
        """One entry for each line item."""
        return [self._line(item) for item in self.items]

    @property
    def totals(self) -> list[Json]:
        """Subtotal, discount, shipping, tax and what is due; the steps only where there are any."""
        if self.session["mode"] == "setup":
            return []
        session, details = self.session, self.session["total_details"] or {}
        steps = []
        if details.get("amount_discount"):
            discount = {"label": "Discount", "amount": self._money(-details["amount_discount"])}
            steps.append(discount | self._discount())
        if details.get("amount_shipping"):
            steps.append({"label": "Shipping", "amount": self._money(details["amount_shipping"])})
        if details.get("amount_tax"):
            steps.append({"label": "Tax", "amount": self._money(details["amount_tax"])})
        due = {"label": "Total due today", "amount": self._money(session["amount_total"]), "due": True}
        subtotal = {"label": "Subtotal", "amount": self._money(session["amount_subtotal"])}
        return [subtotal, *steps, due] if steps else [due]

    @property
    def pay_label(self) -> str:
        """The words on the button."""
        if self.session["mode"] == "setup":
            return "Save"
        if self.trial_days:
            return "Start trial"
        if self.session["mode"] == "subscription":
            return "Subscribe"
        return f"{PAY_LABELS.get(self.session['submit_type'], 'Pay')} {self._money(self.session['amount_total'])}"

    @property
    def terms(self) -> str:
        """What the buyer agrees to by pressing the button."""
        if self.session["mode"] != "subscription":
            return ""
        renews = f"It renews {self._interval.replace('per ', 'every ')} until you cancel."
        if not self.trial_days or self.session["amount_total"]:
            return renews
        return f"Nothing is charged for {self.trial_days} days, and nothing at all if you cancel before then. {renews}"

    # --- parts

    def _money(self, amount: int) -> str:
        return formats.money(amount, self.currency, self.locale)

    def _discount(self) -> Json:
        """Return the code or the coupon's name, and whether the buyer may take it off again."""
        for discount in self.discounts:
            if discount["code"]:
                return {"code": discount["code"], "removable": bool(self.session["allow_promotion_codes"])}
            if discount["coupon"]["name"]:
                return {"label": discount["coupon"]["name"]}
        return {}

    def _line(self, item: Json) -> Json:
        product = item["price"]["product"]
        adjustable = item.get("adjustable_quantity") or {}
        return {
            "id": item["id"],
            "name": product["name"],
            "description": product["description"],
            "quantity": item["quantity"],
            "amount": self._today(item),
            "billing": self._billing(item),
            "adjustable": bool(adjustable.get("enabled")),
            "minimum": adjustable.get("minimum") or 0,
            "maximum": adjustable.get("maximum") or 99,
        }

    def _today(self, item: Json) -> str:
        if _is_metered(item["price"]):
            return "By usage"
        return "Free" if self.trial_days and item["price"]["recurring"] else self._money(self._cost(item))

    def _billing(self, item: Json) -> str:
        """Return how a line is charged, and what one of several costs."""
        price, often = item["price"], formats.per(item["price"]["recurring"])
        if _is_metered(price):
            return f"Billed by usage {often}"
        if self.trial_days and often:
            return f"{self._money(self._cost(item))} {often} after the trial"
        if price["billing_scheme"] == "tiered":
            return f"Priced in tiers, {often}".rstrip(", ")
        if item["quantity"] > 1:
            amounts = {**(arithmetic.in_currency(price, self.currency) or price), "currency": self.currency}
            return f"{formats.unit_money(amounts, self.locale)} each {often}".strip()
        if often:
            return f"Billed {often.replace('per ', 'every ')}"
        return "Charged once" if self.session["mode"] == "subscription" else ""

    def _cost(self, item: Json) -> int:
        return arithmetic.cost(item["price"], item["quantity"] or 0, self.currency)

    @property
    def _recurring(self) -> int:
        """Return what one full period costs after the trial, with a discount that stays (``duration`` forever)."""
        items = [item for item in self.items if item["price"]["recurring"] and not _is_metered(item["price"])]
        amounts = [self._cost(item) for item in items]
        total = sum(amounts)
        for discount in self.discounts:
            if discount["coupon"]["duration"] != "once":
                total -= sum(arithmetic.discounted(discount["coupon"], amounts, self.currency))
        return total

    @property
    def _metered(self) -> bool:
        return any(_is_metered(item["price"]) for item in self.items)

    @property
    def _interval(self) -> str:
        return next((formats.per(item["price"]["recurring"]) for item in self.items if item["price"]["recurring"]), "")


def _is_metered(price: Json) -> bool:
    return bool(price["recurring"]) and price["recurring"]["usage_type"] == "metered"
