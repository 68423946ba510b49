"""Ends, pauses and resumptions, asked of a scripted Stripe: what Stripe is told, and what is refused."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from gateway.billing.subscriptions.change_request import ChangeTime, PlanChange
from gateway.billing.subscriptions.ending import Cancellation
from gateway.db.tables import table_for
from gateway.errors import NotFound
from gateway.models.metering import UsageRecord
from gateway.models.mirrored import Customer, Invoice
from harness.rejected import codes
from harness.rows import charge, dispute, invoice, line
from harness.scripted_subscription import (
    ADA,
    ENDING,
    ENDING_CHANGED,
    PHASE,
    PLANS,
    RELEASE,
    SCHED,
    SCHEDULE,
    SUB,
    THEN,
    VOID,
    becomes,
    changed,
    monthly,
)
from harness.stripe_objects import ENDS, NOW, STARTED, bill, theirs

LEAVES = {
    "cancelled": (lambda its: its.cancel(ADA, "sub_1", Cancellation(), None), {}),
    "cancelled at once": (lambda its: its.cancel(ADA, "sub_1", Cancellation(now=True), None), {}),
    "paused": (lambda its: its.pause(ADA, "sub_1", None, None), {}),
    "resumed": (lambda its: its.resume(ADA, "sub_1", None), {"cancel_at_period_end": True, "cancel_at": ENDS}),
    "started again": (lambda its: its.resume(ADA, "sub_1", None), {"status": "paused"}),
}


@pytest.mark.parametrize(("asked", "columns"), LEAVES.values(), ids=LEAVES)
async def test_what_ended_a_moment_ago_is_not(service, scripted, asked, columns):
    for each in (monthly(**columns), monthly(status="canceled", ended_at=STARTED + 9)):
        scripted.answer("GET", SUB, each)
    scripted.list(WAITING, [])
    for method, path in (("POST", SUB), ("DELETE", SUB), ("POST", f"{SUB}/resume")):
        scripted.refuse(method, path, "resource_missing", status=404)
    assert await codes(asked(service().endings)) == [("SUBSCRIPTION_ENDED", "subscriptionId")]


async def test_what_stripe_does_not_have_is_not_there(service, scripted):
    scripted.refuse("GET", SUB, "resource_missing", status=404)
    with pytest.raises(NotFound):
        await service().endings.cancel(ADA, "sub_1", Cancellation(), None)


SAID = {"cancellation_details[feedback]": "too_expensive", "cancellation_details[comment]": "Bye"}
ENDINGS = {
    "with its period": (Cancellation(), {}, ("POST", {"cancel_at_period_end": "true"})),
    "with reasons": (
        Cancellation(False, "too_expensive", "Bye"), {}, ("POST", {"cancel_at_period_end": "true", **SAID}),
    ),
    "at once": (Cancellation(True), {}, ("DELETE", {"invoice_now": "true", "prorate": "false"})),
    "at once, credited": (
        Cancellation(True, comment="Bye"), {"prorate_cancellations": True},
        ("DELETE", {"invoice_now": "true", "prorate": "true", "cancellation_details[comment]": "Bye"}),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("how", "settings", "expected"), ENDINGS.values(), ids=ENDINGS)
async def test_how_a_subscription_ends(service, scripted, how, settings, expected):
    method, parameters = expected
    becomes(
        scripted,
        theirs(),
        theirs(cancel_at_period_end=not how.now, status="canceled" if how.now else "active"),
        method=method,
    )
    state = await service(**settings).endings.cancel(ADA, "sub_1", how, None)
    assert changed(scripted) == [(method, SUB, parameters)]
    assert (state.subscription.cancel_at_period_end, state.subscription.status == "canceled") == (not how.now, how.now)


METERED = {"id": "calls", "product": "pro", "recurring": {"usage_type": "metered"}}
LATE_USAGE = {
    "an end at once": (lambda made: made.endings.cancel(ADA, "sub_1", Cancellation(True), None), "DELETE"),
    "a change that takes the metered plan away": (
        lambda made: made.change(ADA, "sub_1", PlanChange(price_id="year", when=ChangeTime.NOW), None),
        "POST",
    ),
}


@pytest.mark.parametrize(("asked", "method"), LATE_USAGE.values(), ids=LATE_USAGE)
async def test_what_was_used_is_at_stripe_before_its_last_invoice(service, fill, scripted, asked, method):
    metered = theirs(items={"data": [{**theirs()["items"]["data"][0], "price": METERED}]})
    becomes(scripted, metered, method=method)
    scripted.answer("POST", "/v1/billing/meter_events", {})
    await fill(
        UsageRecord(
            id="use", customer_id="cus_1", event_name="calls", value=7, timestamp=NOW, fingerprint="x", created=NOW,
            status="pending", attempts=1, last_error="no", next_attempt_at=NOW + timedelta(days=1),
        )
    )  # fmt: skip
    await asked(service())
    assert [call[:2] for call in changed(scripted)] == [("POST", "/v1/billing/meter_events"), (method, SUB)]


RESUMED = {
    "a planned end": ({"cancel_at_period_end": True, "cancel_at": ENDS}, SUB, {"cancel_at_period_end": "false"}),
    "an end on a day": ({"cancel_at": ENDS}, SUB, {"cancel_at": ""}),
    "a paused collection": ({"pause_collection": {"behavior": "void"}}, SUB, {"pause_collection": ""}),
    "both": (
        {"cancel_at_period_end": True, "pause_collection": {"behavior": "void"}}, SUB,
        {"cancel_at_period_end": "false", "pause_collection": ""},
    ),
    "a pause": ({"status": "paused"}, f"{SUB}/resume", {"expand[0]": "latest_invoice"}),
    "a pause, in flexible billing": (
        {"status": "paused", "billing_mode": {"type": "flexible"}}, f"{SUB}/resume",
        {"expand[0]": "latest_invoice", "payment_behavior": "resume_on_payment_success"},
    ),
    "nothing": ({}, None, None),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "path", "parameters"), RESUMED.values(), ids=RESUMED)
async def test_what_is_resumed(service, scripted, columns, path, parameters):
    becomes(scripted, theirs(**columns), theirs(), path=path or SUB)
    state = await service().endings.resume(ADA, "sub_1", None)
    assert [(call[1], call[2]) for call in changed(scripted)] == ([(path, parameters)] if path else [])
    assert state.subscription.status == "active"


async def test_what_stripe_has_paused_is_started_again_by_a_key_of_its_invoice(service, scripted):
    """A second start after another invoice is another call: Stripe would answer of the first one, which is void."""
    for invoice_id in ("in_1", "in_1", "in_2"):
        scripted.forget()
        last = bill(id=invoice_id, status="void")
        becomes(scripted, theirs(status="paused", latest_invoice=last), theirs(), path=f"{SUB}/resume")
        await service().endings.resume(ADA, "sub_1", "k")
    first, again, other = scripted.keys
    assert (first.partition("-")[0], first.endswith("-in_1"), first == again) == ("resume", True, True)
    assert other == first.removesuffix("in_1") + "in_2"


async def test_what_stays_paused_until_its_invoice_is_paid_is_told(service, scripted):
    waits = theirs(status="paused", billing_mode={"type": "flexible"})
    becomes(scripted, waits, {**waits, "latest_invoice": bill(status="open")}, path=f"{SUB}/resume")
    scripted.answer("GET", "/v1/invoices/in_1", bill(status="open"))
    assert await codes(service().endings.resume(ADA, "sub_1", None)) == [("INVOICE_UNPAID", "subscriptionId")]


VOIDED = {**VOID, "latest_invoice": bill(status="void")}
STRANGERS = {
    "an end": ({"cancel_at_period_end": True, "cancel_at": ENDS}, False),
    "a pause of a paid period": (VOID, False),
    "a pause that has voided the period": (VOIDED, True),
    "both": ({**VOIDED, "cancel_at_period_end": True}, True),
    "a trial that ended without a card": ({"status": "paused"}, True),
}


@pytest.mark.parametrize(("columns", "charged"), STRANGERS.values(), ids=STRANGERS)
async def test_no_resumption_charges_a_strangers_card(service, scripted, database, columns, charged):
    strangers = sa.update(table_for(Customer)).where(table_for(Customer).c.id == "cus_1").values(payer_unverified=True)
    await database.transaction(lambda connection: connection.execute(strangers).rowcount)
    becomes(scripted, monthly(**columns), monthly())
    scripted.answer("POST", f"{SUB}/resume", monthly())
    resumed = service().endings.resume(ADA, "sub_1", None)
    if charged:
        assert await codes(resumed) == [("PAYMENT_METHOD_NEEDED", "subscriptionId")]
    else:
        await resumed
    assert len(changed(scripted)) == (not charged)


def apart(week_ends: int = ENDS + 3_600, **columns) -> dict:
    """Return a subscription with a month and a week whose renewals lie apart."""
    obj = monthly(**columns)
    (month,) = obj["items"]["data"]
    recurring = {"interval": "week", "interval_count": 1, "usage_type": "licensed"}
    week = {**month, "id": "si_2", "price": {"id": "week", "product": "pro", "recurring": recurring}}
    obj["items"]["data"].append({**week, "current_period_end": week_ends})
    return obj


def billed(id: str, status: str, its: str = "si_1") -> Invoice:
    """A mirrored invoice of the present period of an item, made as it began."""
    of_item = {**line(0, 30), "period_start": STARTED, "period_end": ENDS, "subscription_item": its}
    return invoice(id, of_item, status=status, created=datetime.fromtimestamp(STARTED, UTC))


SHORT_PAUSE = {"metadata": {f"paused_by_customer_until_{STARTED + 60}": str(STARTED - 60)}}


LEFT_UNPAID = {
    "goes on": (
        lambda its: its.resume(ADA, "sub_1", None), "POST",
        {"billing_cycle_anchor[type]": "now", "proration_behavior": "none", "expand[0]": "latest_invoice",
         "payment_behavior": "error_if_incomplete"},
    ),
    "ends": (
        lambda its: its.cancel(ADA, "sub_1", Cancellation(now=True), None), "DELETE",
        {"invoice_now": "true", "prorate": "false"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "method", "parameters"), LEFT_UNPAID.values(), ids=LEFT_UNPAID)
async def test_what_a_pause_that_is_over_has_left_unpaid_is_billed_or_not_credited(
    service, scripted, fill, asked, method, parameters
):
    await fill(billed("in_0", "void"))
    becomes(scripted, monthly(**SHORT_PAUSE), method=method)
    await asked(service(prorate_cancellations=True).endings)
    assert changed(scripted) == [(method, SUB, parameters)]


WENT_BACK = {
    "all is kept": ([], "true"),
    "a part went back": ([charge("ch_1", 1, invoice_id="in_0")], "false"),
    "of what is over": ([charge("ch_1", 900, invoice_id="in_old")], "true"),
    "a payment is disputed": ([charge("ch_1", invoice_id="in_0"), dispute("dp_1", "ch_1", 1, "under_review")], "false"),
}


@pytest.mark.parametrize(("rows", "prorate"), WENT_BACK.values(), ids=WENT_BACK)
async def test_an_end_at_once_credits_nothing_where_anything_of_the_present_went_back(
    service, scripted, fill, rows, prorate
):
    old = line(-30, 0, subscription_item="si_1") | {"id": "il_old", "period_start": STARTED - 60, "period_end": STARTED}
    past = invoice("in_old", old, created=datetime.fromtimestamp(STARTED - 60, UTC))
    await fill(billed("in_0", "paid"), past, *rows)
    becomes(scripted, monthly(), method="DELETE")
    await service(prorate_cancellations=True).endings.cancel(ADA, "sub_1", Cancellation(now=True), None)
    assert changed(scripted) == [("DELETE", SUB, {"invoice_now": "true", "prorate": prorate})]


@pytest.mark.parametrize("planned", [False, True])
async def test_where_a_pause_kept_one_of_two_plans_from_being_billed_it_ends_with_that_ones_renewal(
    service, scripted, fill, planned
):
    """Unless another interval is planned before: then it could not end with a renewal."""
    week_ends = STARTED + 7 * 86_400
    first, then = {**PHASE, "end_date": week_ends - 60}, {**THEN, "start_date": week_ends - 60}
    await fill(billed("in_1", "paid"))
    schedule = {**SCHEDULE, "phases": [first, then], "current_phase": first} if planned else None
    becomes(scripted, apart(week_ends, **VOID, latest_invoice=bill(status="void"), schedule=schedule))
    if planned:
        scripted.answer("GET", SCHED, schedule)
        assert await codes(service().endings.resume(ADA, "sub_1", None)) == [("CHANGE_PENDING", "until")]
        assert changed(scripted) == []
        return
    await service().endings.resume(ADA, "sub_1", None)
    ((_, _, sent),) = changed(scripted)
    assert sent["pause_collection[resumes_at]"] == str(week_ends - 60)
    assert (sent["pause_collection[behavior]"], "billing_cycle_anchor[type]" in sent) == ("void", False)


async def test_a_subscription_that_rests_is_taken_from_its_schedule_where_nothing_is_planned(service, scripted):
    becomes(scripted, monthly(schedule=SCHEDULE, **VOID), monthly())
    released = {**SCHEDULE, "status": "released", "subscription": None}
    scripted.answer("POST", RELEASE, released)
    scripted.answer("GET", SCHED, released)
    await service().endings.resume(ADA, "sub_1", None)
    assert changed(scripted)[1:] == [("POST", SUB, {"pause_collection": ""})]
    assert (changed(scripted)[0][1], scripted.keys[0]) == (RELEASE, "release-sub_1-sched_1")


WAITING = "/v1/invoiceitems"
PAUSES = {
    "it has ended": (monthly(status="canceled"), None, [], ("SUBSCRIPTION_ENDED", "subscriptionId")),
    "its end has passed": (monthly(), NOW - timedelta(days=1), [], ("TIMESTAMP_INVALID", "until")),
    "an invoice is open": (
        monthly(latest_invoice=bill(status="open")), None, [], ("INVOICE_UNPAID", "subscriptionId"),
    ),
    "it ends": (
        monthly(cancel_at_period_end=True, cancel_at=ENDS), None, [], ("SUBSCRIPTION_ENDING", "subscriptionId"),
    ),
    "something waits": (monthly(), None, [{"id": "ii_1"}], ("PAUSE_UNAVAILABLE", "subscriptionId")),
    "it is past due": (monthly(status="past_due"), None, [], ("INVOICE_UNPAID", "subscriptionId")),
    "its plans never renew together": (apart(), NOW + timedelta(days=60), [], ("PAUSE_UNAVAILABLE", "until")),
    "a year is to begin meanwhile": (
        {**monthly(), "schedule": PLANS}, NOW + timedelta(days=40), [], ("CHANGE_PENDING", "until"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("present", "until", "waiting", "expected"), PAUSES.values(), ids=PAUSES)
async def test_what_cannot_be_paused(service, scripted, present, until, waiting, expected):
    scripted.answer("GET", SUB, present)
    scripted.list(WAITING, waiting)
    assert await codes(service().endings.pause(ADA, "sub_1", until, None)) == [expected]
    assert changed(scripted) == []


@pytest.mark.parametrize("before", [{}, {**VOID, "latest_invoice": bill(status="open")}])
@pytest.mark.parametrize(("access", "behavior"), [("paid", "void"), ("free", "mark_uncollectible")])
async def test_a_pause_collects_nothing(service, scripted, before, access, behavior):
    becomes(scripted, monthly(**before), monthly(**VOID))
    scripted.list(WAITING, [])
    until = NOW + timedelta(days=20)
    state = await service(pause_access=access).endings.pause(ADA, "sub_1", until, "k")
    end = str(ENDS - 60)
    billed = {f"metadata[paused_by_customer_until_{ENDS - 60 + 86_400}]": str(bill()["created"])}
    own = billed if behavior == "void" else {}
    pause = {"pause_collection[behavior]": behavior, "pause_collection[resumes_at]": end}
    assert changed(scripted) == [("POST", SUB, pause | own)]
    assert ("GET", WAITING, {"customer": "cus_1", "pending": "true", "limit": "1"}) in scripted.calls
    assert (scripted.keys[0].partition("-")[0], state.subscription.pause_behavior) == ("pause", "void")


async def test_nobody_pauses_what_is_anothers_and_a_bad_key_is_told(service, scripted):
    with pytest.raises(NotFound):
        await service().endings.pause(ADA, "sub_2", None, None)
    assert await codes(service().endings.pause(ADA, "sub_1", None, "")) == [
        ("IDEMPOTENCY_KEY_INVALID", "idempotencyKey")
    ]
    assert scripted.calls == []


async def test_what_has_ended_is_not_resumed_and_its_end_is_no_error(service, scripted):
    scripted.answer("GET", SUB, theirs(status="canceled"))
    assert await codes(service().endings.resume(ADA, "sub_1", None)) == [("SUBSCRIPTION_ENDED", "subscriptionId")]
    assert (await service().endings.cancel(ADA, "sub_1", Cancellation(), None)).subscription.status == "canceled"
    assert changed(scripted) == []


async def test_a_subscription_is_taken_from_its_schedule_first(service, scripted):
    becomes(scripted, theirs(schedule=SCHEDULE), theirs(cancel_at_period_end=True))
    scripted.answer("POST", RELEASE, {**SCHEDULE, "status": "released", "subscription": None})
    scripted.answer("GET", "/v1/subscription_schedules/sched_1", {**SCHEDULE, "status": "released"})
    await service().endings.cancel(ADA, "sub_1", Cancellation(), None)
    assert [call[1] for call in changed(scripted)] == [RELEASE, SUB]
    assert scripted.keys[0] == "release-sub_1-sched_1"


async def test_a_schedule_that_is_not_released_keeps_its_subscription(service, scripted):
    scripted.answer("GET", SUB, theirs(schedule=SCHEDULE))
    scripted.refuse("POST", RELEASE, "no")
    assert await codes(service().endings.cancel(ADA, "sub_1", Cancellation(), None)) == [("STRIPE_REFUSED", None)]
    assert len(changed(scripted)) == 1


async def test_what_waits_goes_on_waiting_after_a_pause(service, scripted):
    becomes(scripted, monthly(schedule=PLANS, **VOID))
    scripted.answer("GET", SCHED, PLANS)
    state = await service().endings.resume(ADA, "sub_1", None)
    assert (changed(scripted), state.pending.items) == ([("POST", SUB, {"pause_collection": ""})], (("year", 1),))


@pytest.mark.parametrize(
    ("schedule", "path", "said"), [(ENDING, RELEASE, {}), (ENDING_CHANGED, SCHED, {"end_behavior": "release"})]
)
async def test_who_takes_an_end_back_keeps_the_change_before_it(service, scripted, schedule, path, said):
    scripted.answer("GET", SUB, theirs(schedule=schedule))
    scripted.answer("POST", path, {**schedule, "end_behavior": "release"})
    scripted.answer("GET", SCHED, {**schedule, "end_behavior": "release"})
    await service().endings.resume(ADA, "sub_1", None)
    assert changed(scripted) == [("POST", path, said)]
