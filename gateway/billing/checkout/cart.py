"""What somebody wants to buy, checked against the catalogue before Stripe is asked. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.billing.catalog.product_prices import currencies_of, is_active, is_offered
from gateway.billing.catalog.quantities import quantity_range, wrong_quantity
from gateway.billing.catalog.snapshot import Snapshot
from gateway.billing.checkout.request import CheckoutRequest, Line
from gateway.billing.user_errors import Problem, ProblemCode
from gateway.models.mirrored import Price, Product

MAX_LINES = 20


@dataclass(frozen=True, slots=True)
class Cart:
    """Prices, all of which Stripe will take in one checkout.

    Attributes:
        lines: each price with what was asked for it, in the client's order; none when only a way to pay is kept.
        currency: the one to ask Stripe for; None for the prices' own.
    """

    lines: tuple[tuple[Price, Line], ...]
    currency: str | None

    @property
    def mode(self) -> str:
        """Stripe's mode: nothing to buy is a set-up, any recurring price makes it a subscription."""
        if not self.lines:
            return "setup"
        return "subscription" if self.plans else "payment"

    @property
    def plans(self) -> list[Price]:
        """Return the recurring prices."""
        return [price for price, _ in self.lines if price.interval]

    @property
    def trial_days(self) -> int | None:
        """Return the shortest trial of its plans, if each has one: nobody gets a plan without a trial for nothing.

        Checkout does not apply a price's trial by itself.
        """
        trials = [price.trial_period_days or 0 for price in self.plans]
        return min(trials, default=0) or None


def fill(request: CheckoutRequest, snapshot: Snapshot, max_quantity: int) -> Cart | list[Problem]:
    """Return the cart of a request, or what must be fixed.

    Args:
        request: names the prices.
        snapshot: the only prices there are.
        max_quantity: of one line.
    """
    if request.setup:
        return _nothing(request, snapshot)
    if not 1 <= len(request.lines) <= MAX_LINES:
        return [Problem(ProblemCode.LINE_ITEMS_INVALID, f"a checkout has 1 to {MAX_LINES} lines", "lineItems")]
    found = [_line(line, place, snapshot, max_quantity) for place, line in enumerate(request.lines)]
    if problems := [each for each in found if isinstance(each, Problem)]:
        return problems
    lines = tuple(each for each in found if not isinstance(each, Problem))
    prices = [price for price, _ in lines]
    problems = [*_duplicates(prices), *_mixed_intervals(prices), *_currency(prices, request.currency)]
    return problems or Cart(lines, request.currency)


def _nothing(request: CheckoutRequest, snapshot: Snapshot) -> Cart | list[Problem]:
    """Return the cart of a set-up: nothing is bought, so there is nothing to reduce either."""
    if request.lines:
        return [Problem(ProblemCode.LINE_ITEMS_INVALID, "a set-up buys nothing: leave the lines empty", "lineItems")]
    if request.promotion_code or request.coupon or request.allow_promotion_codes:
        return [Problem(ProblemCode.PROMOTION_CODE_INVALID, "a set-up buys nothing that a code could reduce")]
    return Cart((), request.currency or snapshot.currency)


def _line(line: Line, place: int, snapshot: Snapshot, max_quantity: int) -> tuple[Price, Line] | Problem:
    at = f"lineItems.{place}"
    if (line.price_id is None) == (line.lookup_key is None):
        return Problem(ProblemCode.LINE_ITEMS_INVALID, "the line names no price, or two: name one, by `price`", at)
    table = snapshot.prices if line.price_id is not None else snapshot.by_lookup_key
    price = table.get(line.price_id or line.lookup_key or "")
    if price is None:
        return Problem(ProblemCode.PRICE_NOT_FOUND, "there is no such price in the catalogue", f"{at}.{line.field}")
    if not is_active(price) or not is_active(snapshot.products[price.product_id]):
        return Problem(
            ProblemCode.PRICE_NOT_ON_SALE, "this price is no longer on sale: choose another", f"{at}.{line.field}"
        )
    if why := _wrong_quantity(price, snapshot.products[price.product_id], line, max_quantity):
        return Problem(ProblemCode.QUANTITY_INVALID, why, f"{at}.quantity")
    return price, line


def _wrong_quantity(price: Price, product: Product, line: Line, most: int) -> str | None:
    """Return why this many cannot be bought. A metered price is billed by use, so it takes no quantity."""
    if price.usage_type == "metered":
        plain = line.quantity == 1 and line.adjustable is None
        return None if plain else "a metered price is billed by use: leave the quantity out"
    if why := wrong_quantity(line.quantity, price, product, most):
        return why
    low, high = line.adjustable or (line.quantity, line.quantity)
    least, seller = quantity_range(price, product)
    least, most = 0 if least == 1 else least, min(most, seller or most)  # one that is set to 0 is removed
    fits = least <= low <= line.quantity <= high <= most
    return None if fits else f"the quantity must lie within its adjustable range, and that within {least} to {most}"


def _duplicates(prices: Sequence[Price]) -> Iterator[Problem]:
    for place, price in enumerate(prices):
        if any(price.id == other.id for other in prices[:place]):
            message = "an earlier line has this price already: put the quantities together"
            yield Problem(ProblemCode.DUPLICATE_PRICE, message, f"lineItems.{place}")


def _mixed_intervals(prices: Sequence[Price]) -> Iterator[Problem]:
    """Stripe: "Checkout does not support multiple prices with different billing intervals"."""
    if len({(price.interval, price.interval_count) for price in prices if price.interval}) > 1:
        message = "plans of one checkout must have the same billing interval; sell them in a checkout each"
        yield Problem(ProblemCode.INTERVALS_MIXED, message, "lineItems")


def _currency(prices: Sequence[Price], wanted: str | None) -> Iterator[Problem]:
    common = sorted(set.intersection(*(set(currencies_of(price)) for price in prices)))
    there = ", ".join(common).upper() or "no currency in common: sell them in a checkout each"
    if wanted is not None:
        for place, price in enumerate(prices):
            if not is_offered(price, wanted):
                message = f"this price is not offered in {wanted.upper()}; the lines have {there}"
                yield Problem(ProblemCode.CURRENCY_NOT_OFFERED, message, f"lineItems.{place}")
    elif len({price.currency for price in prices}) > 1:
        yield Problem(
            ProblemCode.CURRENCY_NOT_OFFERED, f"the prices have different currencies; name one of {there}", "currency"
        )
