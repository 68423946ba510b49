"""Until when a decision holds by itself: nothing about it is another before, whatever the invoices."""

import random
from datetime import timedelta

import pytest

from gateway.billing.subscriptions.access import access, changes_at, giving_items
from gateway.billing.subscriptions.payments import payments
from harness.rows import DAY, at, invoice, item, line, subscription

STATUSES = ("active", "past_due", "canceled", "trialing", "unpaid")
GRACE = 7 * DAY


def a_case(rng: random.Random):
    """A subscription of one or two items, and invoices whose lines begin and end about now."""
    row = subscription(status=rng.choice(STATUSES), cancel_at=rng.choice([None, at(rng.randint(-5, 20))]))
    items = [item(f"si_{number}", "month", "pro") for number in range(1, rng.choice([2, 3]))]
    bills = []
    for number in range(rng.randint(0, 4)):
        lines = []
        for place in range(rng.randint(1, 3)):
            start = rng.randint(-40, 20)
            amount = rng.choice([900, 900, -400])
            its = f"si_{rng.randint(1, 2)}"
            lines.append(
                line(start, start + rng.randint(1, 30), amount, subscription_item=its, id=f"il_{number}_{place}")
            )
        status = rng.choice(["paid", "paid", "open"])
        bill = invoice(
            f"in_{number}", *lines, days=rng.randint(-30, 0), status=status, attempt_count=int(status == "open")
        )
        object.__setattr__(bill, "returned", rng.choice([0, 0, 900]))
        object.__setattr__(bill, "in_dispute", False)
        bills.append(bill)
    return row, items, bills


def decided(row, items, bills, now):
    """What is decided at a moment, and when it says that this may change. Invoices of the past are not read."""
    read = [each for each in bills if row.status == "past_due" or each.service_end > now]
    told = payments(row, read, now)
    found = access(row, items, now, grace=GRACE, payments=told)
    giving = [each.id for each in giving_items(row, items, told)]
    return (found, giving), changes_at(row, items, now, grace=GRACE, payments=told)


@pytest.mark.parametrize("seed", range(200))
def test_nothing_is_another_before_it_says_so(seed):
    rng = random.Random(seed)  # noqa: S311 - the same cases each time
    row, items, bills = a_case(rng)
    now = at(0) + timedelta(seconds=rng.randint(0, 86_400))
    before, end = decided(row, items, bills, now)
    last = end or at(60)
    assert last > now
    moments = [now + (last - now) * rng.random() for _ in range(10)] + [last - timedelta(seconds=1)]
    for moment in sorted(moments):
        if moment > now:
            assert decided(row, items, bills, moment)[0] == before, moment


def test_the_end_of_a_grace_period_is_such_a_moment_and_one_that_has_passed_is_none():
    row, items = subscription(status="past_due"), [item("si_1", "month", "pro")]
    (before, end), (after, none) = (decided(row, items, [], at(days)) for days in (0, 4))
    assert (before[0].allowed, end, after[0].allowed, none) == (True, at(4), False, None)
