"""What can be bought together, as tables without HTTP and without a database."""

import pytest

from gateway.billing.checkout.cart import MAX_LINES, Cart, fill
from gateway.billing.checkout.request import CheckoutRequest, Line
from gateway.billing.user_errors import ProblemCode
from harness.rows import price, product, snapshot

EUR = {"eur": {"unit_amount": 800}}
CATALOG = snapshot(
    product("pro"),
    product("gone", active=False),
    price("month", "pro", lookup_key="pro_month", currency_options=EUR),
    price("year", "pro", 9000, interval="year"),
    price("quarter", "pro", 2500, interval_count=3),
    price("trial_14", "pro", trial_period_days=14),
    price("trial_7", "pro", trial_period_days=7),
    price("calls", "pro", None, usage_type="metered"),
    price("pack", "pro", 500, interval=None, interval_count=None, usage_type=None, currency_options=EUR),
    price("euro", "pro", 500, currency="eur"),
    price("old", "pro", active=False, lookup_key="old"),
    price("gone_month", "gone"),
    price("team", "pro", meta={"min_quantity": "3"}),
)


def filled(*lines: Line | str, **asked) -> Cart | list[tuple[str, str | None]]:
    """The cart of these lines, or the codes and fields of what is wrong."""
    found = tuple(Line(line) if isinstance(line, str) else line for line in lines)
    cart = fill(CheckoutRequest(found, **asked), CATALOG, 10)
    return cart if isinstance(cart, Cart) else [(problem.code.name, problem.field) for problem in cart]


@pytest.mark.parametrize(
    ("lines", "mode"),
    [
        (["month"], "subscription"),
        (["pack"], "payment"),
        (["pack", "month"], "subscription"),
        ([Line(lookup_key="pro_month")], "subscription"),
        (["month", "calls"], "subscription"),
    ],
)
def test_the_mode_follows_from_the_prices(lines, mode):
    cart = filled(*lines)
    assert isinstance(cart, Cart)
    assert cart.mode == mode
    assert len(cart.lines) == len(lines)


@pytest.mark.parametrize(
    ("lines", "days"),
    [
        (["month"], None),
        (["trial_14"], 14),
        (["trial_14", "trial_7"], 7),
        (["month", "trial_14"], None),
        (["trial_14", "calls"], None),
        (["trial_14", "pack"], 14),
        (["pack"], None),
    ],
)
def test_a_trial_is_given_only_where_every_plan_has_one(lines, days):
    assert filled(*lines).trial_days == days


NAME = [("LINE_ITEMS_INVALID", "lineItems.0")]
QUANTITY = [("QUANTITY_INVALID", "lineItems.0.quantity")]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], [("LINE_ITEMS_INVALID", "lineItems")]),
        (["month"] * 21, [("LINE_ITEMS_INVALID", "lineItems")]),
        ([Line()], NAME),
        ([Line("month", "pro_month")], NAME),
        ([Line("nothing")], [("PRICE_NOT_FOUND", "lineItems.0.price.id")]),
        ([Line("")], [("PRICE_NOT_FOUND", "lineItems.0.price.id")]),
        ([Line(lookup_key="old")], [("PRICE_NOT_FOUND", "lineItems.0.price.lookupKey")]),
        ([Line("old", short=True)], [("PRICE_NOT_ON_SALE", "lineItems.0.priceId")]),
        ([Line(lookup_key="old", short=True)], [("PRICE_NOT_FOUND", "lineItems.0.lookupKey")]),
        (["old"], [("PRICE_NOT_ON_SALE", "lineItems.0.price.id")]),
        (["gone_month"], [("PRICE_NOT_ON_SALE", "lineItems.0.price.id")]),
        (["month", "month"], [("DUPLICATE_PRICE", "lineItems.1")]),
        (["month", Line(lookup_key="pro_month")], [("DUPLICATE_PRICE", "lineItems.1")]),
        (["month", "year"], [("INTERVALS_MIXED", "lineItems")]),
        (["month", "quarter"], [("INTERVALS_MIXED", "lineItems")]),
        (["pack", "euro"], [("CURRENCY_NOT_OFFERED", "currency")]),
        (
            ["nothing", "old"],
            [("PRICE_NOT_FOUND", "lineItems.0.price.id"), ("PRICE_NOT_ON_SALE", "lineItems.1.price.id")],
        ),
        (
            ["month", "year", "year"],
            [("DUPLICATE_PRICE", "lineItems.2"), ("INTERVALS_MIXED", "lineItems")],
        ),
        ([Line("month", quantity=0)], QUANTITY),
        ([Line("month", quantity=11)], QUANTITY),
        ([Line("calls", quantity=2)], QUANTITY),
        ([Line("calls", adjustable=(1, 2))], QUANTITY),
        ([Line("month", quantity=3, adjustable=(4, 9))], QUANTITY),
        ([Line("month", quantity=3, adjustable=(1, 2))], QUANTITY),
        ([Line("month", quantity=3, adjustable=(-1, 9))], QUANTITY),
        ([Line("month", quantity=3, adjustable=(1, 11))], QUANTITY),
        ([Line("team", quantity=3, adjustable=(2, 9))], QUANTITY),  # the seller's least
    ],
)
def test_what_cannot_be_bought(lines, expected):
    assert filled(*lines) == expected


@pytest.mark.parametrize(
    "line",
    [
        Line("month", quantity=1),
        Line("month", quantity=10),
        Line("month", quantity=3, adjustable=(0, 10)),
        Line("team", quantity=3, adjustable=(3, 9)),
    ],
)
def test_what_can_be_bought_at_the_edge(line):
    assert isinstance(filled(line), Cart)


@pytest.mark.parametrize(
    ("lines", "currency", "expected"),
    [
        (["month"], "eur", "eur"),
        (["month", "pack"], "eur", "eur"),
        (["month"], None, None),
        (["year"], "eur", [("CURRENCY_NOT_OFFERED", "lineItems.0")]),
        (["month", "trial_14"], "eur", [("CURRENCY_NOT_OFFERED", "lineItems.1")]),
        (["pack", "euro"], "eur", "eur"),
    ],
)
def test_every_price_must_offer_the_currency(lines, currency, expected):
    found = filled(*lines, currency=currency)
    assert (found.currency if isinstance(found, Cart) else found) == expected


@pytest.mark.parametrize(
    ("lines", "currency", "says"),
    [
        (["pack", "euro"], None, "name one of EUR"),
        (["month", "euro"], None, "name one of EUR"),
        (["year", "euro"], None, "no currency in common"),
        (["year", "month"], "eur", "not offered in EUR; the lines have USD"),
    ],
)
def test_the_currencies_that_would_do_are_named(lines, currency, says):
    found = fill(CheckoutRequest(tuple(map(Line, lines)), currency=currency), CATALOG, 10)
    (problem,) = (each for each in found if each.code is ProblemCode.CURRENCY_NOT_OFFERED)
    assert says in problem.message


def test_a_checkout_has_as_many_lines_as_stripe_takes():
    prices = [price(f"p{number}", "pro") for number in range(MAX_LINES + 1)]
    catalog = snapshot(product("pro"), *prices)
    lines = [Line(each.id) for each in prices]
    assert isinstance(fill(CheckoutRequest(tuple(lines[:MAX_LINES])), catalog, 10), Cart)
    assert not isinstance(fill(CheckoutRequest(tuple(lines)), catalog, 10), Cart)


@pytest.mark.parametrize(
    ("lines", "asked", "expected"),
    [
        ([], {}, "setup"),
        (["month"], {}, [("LINE_ITEMS_INVALID", "lineItems")]),
        ([], {"coupon": "half"}, [("PROMOTION_CODE_INVALID", None)]),
        ([], {"promotion_code": "HALF"}, [("PROMOTION_CODE_INVALID", None)]),
        ([], {"allow_promotion_codes": True}, [("PROMOTION_CODE_INVALID", None)]),
    ],
)
def test_a_set_up_buys_nothing(lines, asked, expected):
    found = filled(*lines, setup=True, **asked)
    assert (found.mode if isinstance(found, Cart) else found) == expected


def test_a_set_up_is_in_the_catalogues_currency_unless_another_is_named():
    assert filled(setup=True) == Cart((), CATALOG.currency)
    assert filled(setup=True, currency="eur") == Cart((), "eur")


def test_a_checkout_is_the_same_however_its_price_is_named():
    short, long = (CheckoutRequest((Line("month", short=each),)) for each in (True, False))
    assert short.fingerprint == long.fingerprint
