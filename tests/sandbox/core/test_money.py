"""Hand-computed amounts, most of them from Stripe's documentation (named at each test)."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sandbox.core import money

TYPOGRAPHIC = [
    {"up_to": 5, "unit_amount": 700},
    {"up_to": 10, "unit_amount": 650},
    {"up_to": None, "unit_amount": 600},
]


def tiered(mode, tiers):
    return {"currency": "usd", "billing_scheme": "tiered", "tiers_mode": mode, "tiers": tiers}


def per_unit(**fields):
    return {"currency": "usd", "billing_scheme": "per_unit", **fields}


@pytest.mark.parametrize(("quantity", "cents"), [(1, 700), (5, 3500), (6, 3900), (20, 12000), (25, 15000)])
def test_a_volume_price_bills_every_unit_at_the_tier_of_the_whole_quantity(quantity, cents):
    """docs.stripe.com/subscriptions/pricing-models/tiered-pricing, the table of Typographic's fonts."""
    assert money.cost(tiered("volume", TYPOGRAPHIC), quantity, "usd") == cents


@pytest.mark.parametrize(("quantity", "cents"), [(1, 700), (5, 3500), (6, 4150), (20, 12750), (25, 15750)])
def test_a_graduated_price_bills_each_unit_at_its_own_tier(quantity, cents):
    """The same page: 6 fonts are 5 x 7 USD + 1 x 6.50 USD."""
    assert money.cost(tiered("graduated", TYPOGRAPHIC), quantity, "usd") == cents


def test_a_graduated_price_gives_one_line_for_each_tier_that_is_touched():
    lines = money.parts(tiered("graduated", TYPOGRAPHIC), 12, "usd")
    assert [(line.tier, line.quantity, line.amount) for line in lines] == [(1, 5, 3500), (2, 5, 3250), (3, 2, 1200)]


FLAT_FEES = [
    {"up_to": 5, "unit_amount": 500, "flat_amount": 1000},
    {"up_to": 10, "unit_amount": 400, "flat_amount": 2000},
    {"up_to": None, "unit_amount": 300, "flat_amount": 3000},
]


def test_flat_fees_add_up_over_graduated_tiers_but_count_once_by_volume():
    # 10 + 5 x 5 + 20 + 5 x 4 + 30 + 2 x 3 = 111;  30 + 12 x 3 = 66
    assert money.cost(tiered("graduated", FLAT_FEES), 12, "usd") == 11100
    assert money.cost(tiered("volume", FLAT_FEES), 12, "usd") == 6600


def test_the_first_tiers_flat_fee_is_due_without_any_use():
    assert money.cost(tiered("graduated", FLAT_FEES), 0, "usd") == 1000


def test_a_decimal_unit_amount_is_rounded_once_over_the_whole_quantity():
    price = per_unit(unit_amount=None, unit_amount_decimal="0.125")
    assert [money.cost(price, quantity, "usd") for quantity in (1, 4, 1001)] == [0, 1, 125]


@pytest.mark.parametrize(("direction", "cents"), [("up", 2000), ("down", 1000)])
def test_a_package_price_bills_whole_packages(direction, cents):
    """Stripe's "Package pricing": 10 USD for every 1,000 characters, here for 1,001."""
    price = per_unit(unit_amount=1000, transform_quantity={"divide_by": 1000, "round": direction})
    assert money.cost(price, 1001, "usd") == cents


def test_a_currency_option_replaces_the_amount_and_an_unknown_currency_is_refused():
    price = per_unit(unit_amount=1000, currency_options={"jpy": {"unit_amount": 1500}})
    assert money.cost(price, 2, "jpy") == 3000
    with pytest.raises(KeyError):
        money.cost(price, 2, "chf")


def test_an_upgrade_in_the_middle_of_the_period_costs_half_of_the_difference():
    """docs.stripe.com/billing/subscriptions/prorations: 10 USD to 20 USD half way is -5 + 10 = 5 USD."""
    start, end = 1_700_000_000, 1_700_000_000 + 30 * 86_400
    half = start + 15 * 86_400
    assert -money.prorated(1000, start, end, half) + money.prorated(2000, start, end, half) == 500


def test_proration_counts_seconds_and_rounds_half_a_cent_up():
    # 999 x 1/3 of the period = 333; one second less of 300 is 999 x 99/300 = 329.67
    assert money.prorated(999, 0, 300, 200) == 333
    assert money.prorated(999, 0, 300, 201) == 330
    assert money.prorated(1, 0, 2, 1) == 1


def test_nothing_is_left_after_the_end_and_all_before_the_start():
    assert money.prorated(1000, 100, 200, 250) == 0
    assert money.prorated(1000, 100, 200, 50) == 1000


def test_a_percentage_coupon_is_right_to_the_cent_on_the_total():
    # 25 % of 9.99 + 5.01 + 0.01 = 15.01 is 3.7525: 3.75 in all, whatever the lines would round to
    assert sum(money.discounted({"percent_off": 25}, [999, 501, 1], "usd")) == 375


def test_an_amount_off_is_shared_in_proportion_and_never_exceeds_the_sum():
    coupon = {"amount_off": 1000, "currency": "usd"}
    assert money.discounted(coupon, [2000, 1000], "usd") == [667, 333]
    assert money.discounted(coupon, [300, 100], "usd") == [300, 100]


def test_a_coupon_takes_nothing_off_a_credit_or_in_a_currency_that_it_does_not_know():
    coupon = {"amount_off": 1000, "currency": "usd", "currency_options": {"eur": {"amount_off": 900}}}
    assert money.discounted(coupon, [-500, 2000], "usd") == [0, 1000]
    assert money.discounted(coupon, [2000], "eur") == [900]
    assert money.discounted(coupon, [2000], "jpy") == [0]


def test_an_exclusive_tax_comes_on_top_and_an_inclusive_one_is_contained():
    """docs.stripe.com/billing/taxes/tax-rates: 20 % of 12 USD is 2.40 on top, or 2.00 within."""
    exclusive = {"id": "txr_1", "percentage": 20.0, "inclusive": False}
    inclusive = {"id": "txr_2", "percentage": 20.0, "inclusive": True}
    assert [(tax.amount, tax.taxable) for tax in money.taxes(1200, [exclusive])] == [(240, 1200)]
    assert [(tax.amount, tax.taxable) for tax in money.taxes(1200, [inclusive])] == [(200, 1000)]


def test_two_inclusive_taxes_share_one_net_amount():
    # 115 within 15 %: net 100, of which 10 and 5
    rates = [{"id": "a", "percentage": 10, "inclusive": True}, {"id": "b", "percentage": 5, "inclusive": True}]
    assert [(tax.amount, tax.taxable) for tax in money.taxes(11500, rates)] == [(1000, 10000), (500, 10000)]


def test_a_credit_cancels_its_charge_exactly():
    assert money.rounded(Decimal("-0.5")) == -money.rounded(Decimal("0.5")) == -1


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**7), min_size=1, max_size=20))
def test_what_is_distributed_adds_up_to_the_unit(total, weights):
    shares = money.distributed(total, weights)
    assert sum(shares) == (total if any(weights) else 0)
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - total * weight / max(1, sum(weights))) <= 1


@given(st.integers(1, 10**8), st.integers(1, 10**8), st.integers(0, 10**8))
def test_the_used_and_the_unused_part_of_a_period_make_the_whole(amount, length, at):
    unused = money.prorated(amount, 0, length, min(at, length))
    assert 0 <= unused <= amount
    assert unused == -money.scaled(-amount, length - min(at, length), length)
