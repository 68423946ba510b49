"""How long a pause runs, what is given meanwhile, and what is charged when the subscription goes on: pure."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.billing.subscriptions import own_pauses
from gateway.billing.subscriptions.pausing import (
    bad_until,
    has_stopped,
    is_charged,
    is_so,
    may_credit,
    never_meets,
    pause_parameters,
    paused,
    renewal_after,
    renews_otherwise,
    resumption,
    unbilled,
    unpaid_restart,
)
from gateway.models.mirrored import Price

DAY = 86_400
KEY = "paused_by_customer_until_"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def at_stripe(anchor: str, end: str, interval: str, count: int) -> dict:
    price = {"recurring": {"interval": interval, "interval_count": count}}
    item = {"id": "0", "current_period_end": int(moment(end).timestamp()), "price": price}
    billed = {"latest_invoice": {"created": 5, "status": "paid"}, "metadata": {}}
    return {"billing_cycle_anchor": int(moment(anchor).timestamp()), "items": {"data": [item]}, **billed}


@pytest.mark.parametrize(
    ("anchor", "end", "every", "until", "expected"),
    [
        ("2026-01-31", "2026-02-28", ("month", 1), "2026-02-01", "2026-02-28"),  # never before the next one
        ("2026-01-31", "2026-02-28", ("month", 1), "2026-02-28", "2026-02-28"),
        ("2026-01-31", "2026-02-28", ("month", 1), "2026-03-01", "2026-03-31"),
        ("2026-01-31", "2026-02-28", ("month", 1), "2026-04-01", "2026-04-30"),
        ("2026-01-31", "2026-02-28", ("month", 1), "2027-02-20", "2027-02-28"),
        ("2027-01-31", "2027-12-31", ("month", 1), "2028-02-20", "2028-02-29"),
        ("2026-11-30", "2027-02-28", ("month", 3), "2027-03-01", "2027-05-30"),
        ("2024-02-29", "2027-02-28", ("year", 1), "2027-12-01", "2028-02-29"),
        ("2026-01-01", "2026-01-08", ("week", 1), "2026-01-16", "2026-01-22"),
        ("2026-01-01", "2026-01-04", ("day", 3), "2026-01-05", "2026-01-07"),
    ],
)
def test_a_pause_ends_with_a_period(anchor, end, every, until, expected):
    subscription = at_stripe(anchor, end, *every)
    assert renewal_after(subscription, moment(until)) == moment(expected)
    pause = pause_parameters(subscription, moment(until), "paid")["pause_collection"]
    assert pause == {"behavior": "void", "resumes_at": int(moment(expected).timestamp()) - 60}


@pytest.mark.parametrize("access", ["paid", "free"])
@pytest.mark.parametrize("until", ["2026-02-20", None])
def test_what_is_paused_so_already_is_not_paused_again(access, until):
    running = at_stripe("2026-01-01", "2026-02-01", "month", 1) | {"pause_collection": None}
    asked = pause_parameters(running, until and moment(until), access)
    stands = {"resumes_at": None, **asked["pause_collection"]}
    so = running | {"pause_collection": stands, "metadata": asked.get("metadata", {})}
    assert (is_so(so, asked), is_so(running, asked)) == (True, False)
    assert not is_so({**so, "pause_collection": stands | {"resumes_at": 7}}, asked)
    assert not is_so({**so, "pause_collection": stands | {"behavior": "keep_as_draft"}}, asked)
    assert is_so({**so, "metadata": {}}, asked) is (access == "free")  # it must be written down as the customer's own


MONTHLY, YEARLY, WEEKLY = ("month", 1), ("year", 1), ("week", 1)


def mixed(anchor: str, *items: tuple[str, tuple[str, int]]) -> dict:
    """A subscription whose items end on days, each with its interval; as Stripe has it, paused."""
    found = [at_stripe(anchor, end, *every)["items"]["data"][0] for end, every in items]
    data = [{**item, "id": str(number), "quantity": 1} for number, item in enumerate(found)]
    paused = {"pause_collection": {"behavior": "void"}, "latest_invoice": {"created": 5, "status": "void"}}
    end = {"cancel_at": None, "cancel_at_period_end": False}
    return {**at_stripe(anchor, "2026-01-01", "month", 1), **paused, **end, "items": {"data": data}}


@pytest.mark.parametrize(
    ("items", "until", "expected"),
    [
        ((("2026-03-01", MONTHLY), ("2027-01-01", YEARLY)), "2026-04-15", "2026-05-01"),
        ((("2026-03-01", MONTHLY), ("2027-01-01", YEARLY)), "2026-12-15", "2027-01-01"),
        ((("2026-03-01", MONTHLY), ("2027-01-01", YEARLY)), "2027-01-02", "2028-01-01"),  # its year was not billed
        ((("2027-01-01", YEARLY), ("2026-03-01", MONTHLY)), "2026-02-02", "2026-03-01"),
        ((("2026-03-01", MONTHLY), ("2026-02-19", WEEKLY)), "2026-02-02", "2026-02-19"),
        ((("2026-03-01", MONTHLY), ("2026-02-19", WEEKLY)), "2026-02-20", "2026-02-26"),
        ((("2026-03-01", MONTHLY), ("2026-02-19", WEEKLY)), "2026-02-27", "2026-10-01"),  # a Thursday
    ],
)
def test_a_pause_of_plans_with_different_intervals_gives_none_of_them_for_nothing(items, until, expected):
    assert renewal_after(mixed("2026-01-01", *items), moment(until)) == moment(expected)


@pytest.mark.parametrize(
    ("paid", "ends"),
    [
        ((), None),  # a new period of all
        (("1",), "2026-03-01"),
        (("0",), "2027-01-01"),
        (("0", "1"), "at once"),  # the void invoice was that of a change
    ],
)
def test_what_is_paid_for_is_not_charged_again_when_it_goes_on(paid, ends):
    subscription = mixed("2026-01-01", ("2026-03-01", MONTHLY), ("2027-01-01", YEARLY))
    found = resumption(subscription, paid, moment("2026-02-15"))
    if ends is None:
        begun = {"billing_cycle_anchor": {"type": "now"}, "pause_collection": "", "proration_behavior": "none"}
        assert found == begun | {"payment_behavior": "error_if_incomplete", "expand": ["latest_invoice"]}
    elif ends == "at once":
        assert found == {"pause_collection": ""}
    else:
        resumes = int(moment(ends).timestamp()) - 60
        own = {KEY + str(resumes + DAY): "6"}
        assert found == {"pause_collection": {"behavior": "void", "resumes_at": resumes}, "metadata": own}


@pytest.mark.parametrize(
    ("paid", "unpaid", "charged"),
    [((), ("0", "1"), True), (("0", "1"), ("0",), True), (("1",), ("0",), False), ((), (), False)],
)
def test_what_a_pause_has_left_unpaid_is_charged_when_it_goes_on_also_after_the_pause(paid, unpaid, charged):
    over = {"pause_collection": None, "metadata": {KEY + "9": "5"}}
    subscription = mixed("2026-01-01", ("2026-03-01", MONTHLY), ("2027-01-01", YEARLY)) | over
    found = resumption(subscription, paid, moment("2026-02-15"), unpaid=unpaid)
    begun = {"billing_cycle_anchor": {"type": "now"}, "proration_behavior": "none"}
    assert found == (
        begun | {"payment_behavior": "error_if_incomplete", "expand": ["latest_invoice"]} if charged else {}
    )


@pytest.mark.parametrize(
    ("status", "invoice", "end", "stopped", "unpaid"),
    [
        ("paused", None, 8, False, False),
        ("paused", "paid", 8, False, False),
        ("paused", None, 7, True, False),
        ("paused", "open", 8, True, True),
        ("paused", "draft", 8, True, True),
        ("paused", "open", 6, True, True),
        ("active", "open", 6, False, False),
    ],
)
def test_what_stripe_has_paused_stops_with_its_period_or_waits_for_an_invoice(status, invoice, end, stopped, unpaid):
    latest = invoice and {"status": invoice}
    subscription = {"status": status, "latest_invoice": latest, "items": {"data": [{"current_period_end": end}]}}
    assert has_stopped(subscription, 7) is stopped
    problem = unpaid_restart(subscription)
    assert (problem and (problem.code.name, problem.field)) == (
        ("INVOICE_UNPAID", "subscriptionId") if unpaid else None
    )
    assert is_charged(subscription, {}) is (status == "paused")
    assert not is_charged(subscription, {"pause_collection": ""})


def test_a_planned_end_is_taken_back_unless_it_is_to_stay_and_a_pause_is_closed():
    metadata = {KEY + "resumed": "5"}
    ending = mixed("2026-01-01", ("2026-03-01", MONTHLY)) | {"cancel_at": 9, "metadata": metadata}
    now = moment("2026-02-15")
    closed = {"pause_collection": "", "metadata": own_pauses.ended(ending, int(now.timestamp()))}
    assert resumption(ending, ("0",), now) == {"cancel_at": "", **closed}
    assert resumption(ending, ("0",), now, ends=True) == closed


@pytest.mark.parametrize(
    ("status", "unpaid", "may"), [("paid", (), True), ("void", (), False), ("paid", ("0",), False), (None, (), True)]
)
def test_only_what_was_paid_for_is_credited_at_the_end(status, unpaid, may):
    assert may_credit({"latest_invoice": status and {"status": status}}, unpaid) is may


def test_plans_that_never_renew_together_are_paused_without_an_end():
    apart = mixed("2026-01-01", ("2026-02-19", WEEKLY), ("2026-02-20", WEEKLY))
    problem = never_meets(apart, moment("2026-02-20"))
    assert (problem.code.name, problem.field) == ("PAUSE_UNAVAILABLE", "until")
    assert never_meets(apart, None) is None
    assert never_meets(mixed("2026-01-01", ("2026-02-19", WEEKLY)), moment("2026-02-20")) is None


@pytest.mark.parametrize(
    ("items", "phase", "fits"),
    [
        (["month"], {}, True),
        (["small"], {}, True),
        (["year"], {}, False),
        (["month", "year"], {}, False),
        (["unknown"], {}, False),
        (["small"], {"billing_cycle_anchor": "phase_start"}, False),
        (["small"], {"trial_end": 1}, False),
        (["year"], {"start_date": 199}, False),
        (["year"], {"start_date": 200}, True),  # with the renewal that the pause ends before
        (["year"], {"start_date": 100}, True),  # has begun
    ],
)
def test_a_pause_ends_by_itself_where_nothing_planned_renews_otherwise(items, phase, fits):
    every = {"month": ("month", 1), "small": ("month", None), "year": ("year", 1)}
    prices = {name: Price(id=name, interval=each, interval_count=count) for name, (each, count) in every.items()}
    have = {"price": {"id": "month", "recurring": {"interval": "month", "interval_count": 1}}}
    coming = {"start_date": 150, "items": [{"price": each} for each in items], **phase}
    phases = [{"start_date": 100, "items": []}, coming]
    schedule = {"current_phase": {"start_date": 100}, "phases": phases}
    subscription, ends = {"items": {"data": [have]}, "schedule": schedule}, {"pause_collection": {"resumes_at": 199}}
    problem = renews_otherwise(subscription, ends, prices)
    assert (problem is None) is fits
    assert fits or (problem.code.name, problem.field) == ("CHANGE_PENDING", "until")
    assert renews_otherwise(subscription, {"pause_collection": {}}, prices) is None  # until it is resumed
    assert renews_otherwise({**subscription, "schedule": None}, ends, prices) is None
    begins = {**subscription, "schedule": {**schedule, "current_phase": None}}
    assert (renews_otherwise(begins, ends, prices) is None) is (fits and phase.get("start_date") != 100)


@pytest.mark.parametrize(
    ("usage", "waiting", "told"),
    [
        ("licensed", [], None),
        ("licensed", [{"id": "ii_1"}], "something waits"),
        ("metered", [], "what is used"),
        ("metered", [{"id": "ii_1"}], "what is used"),
    ],
)
def test_what_is_owed_already_is_not_lost_by_a_pause(usage, waiting, told):
    data = [{"price": {"recurring": {"usage_type": each}}} for each in ("licensed", usage)]
    problem = unbilled({"items": {"data": data}}, waiting)
    assert (problem and (problem.code.name, problem.field)) == (told and ("PAUSE_UNAVAILABLE", "subscriptionId"))
    assert told is None or told in problem.message


def test_what_is_paused_is_not_changed():
    problem = paused({"pause_collection": {"behavior": "void"}})
    assert (problem.code.name, problem.field) == ("SUBSCRIPTION_PAUSED", "subscriptionId")
    assert paused({"pause_collection": None}) is None


def test_a_pause_without_an_end_and_one_in_which_access_goes_on():
    subscription = at_stripe("2026-01-01", "2026-02-01", "month", 1)
    own = {"metadata": {KEY + "resumed": "5"}}
    assert pause_parameters(subscription, None, "paid") == {"pause_collection": {"behavior": "void"}, **own}
    assert pause_parameters(subscription, None, "free") == {"pause_collection": {"behavior": "mark_uncollectible"}}


@pytest.mark.parametrize(
    ("days", "good"), [(None, True), (0, False), (-1, False), (1, True), (366, True), (367, False)]
)
def test_how_far_ahead_a_pause_may_end(days, good):
    now = moment("2026-01-01")
    problem = bad_until(None if days is None else now + timedelta(days=days), now)
    assert (problem is None) is good
    assert good or (problem.code.name, problem.field) == ("TIMESTAMP_INVALID", "until")
