"""Changes that wait, asked of a scripted Stripe: how a schedule plans them, and what undoes them."""

from datetime import UTC, datetime

import pytest

from gateway.billing.subscriptions.change_request import ChangeTime, PlanChange
from gateway.billing.subscriptions.ending import Cancellation
from gateway.billing.subscriptions.set_aside import set_aside
from gateway.errors import NotFound
from gateway.mirror.schedules import digest_of
from gateway.models.mirrored import SubscriptionSchedule
from harness.rejected import codes
from harness.scripted_subscription import (
    ADA,
    BY_SELLER,
    ENDING,
    ENDING_CHANGED,
    LATER,
    LIST,
    PHASE,
    PLANS,
    RELEASE,
    SCHED,
    SCHEDS,
    SCHEDULE,
    SUB,
    THEN,
    becomes,
    changed,
)
from harness.stripe_objects import ENDS, NOW, theirs


async def test_a_change_that_waits_is_planned_by_a_schedule(service, scripted):
    for each in (theirs(), theirs(schedule=SCHEDULE)):
        scripted.answer("GET", SUB, each)
    scripted.answer("POST", SCHEDS, SCHEDULE)
    scripted.answer("POST", SCHED, PLANS)
    scripted.answer("GET", SCHED, PLANS)
    state, billed = await service().change(ADA, "sub_1", LATER, "k")
    (made, _), (planned, sent), (marked, mark) = [(call[1], call[2]) for call in changed(scripted)]
    assert (made, planned, changed(scripted)[0][2]) == (SCHEDS, SCHED, {"from_subscription": "sub_1"})
    assert (marked, mark) == (SCHED, {"metadata[customer_planned]": digest_of(THEN)})
    expected = {"end_behavior": "release", "proration_behavior": "none", "phases[0][items][0][price]": "month"}
    expected |= {"phases[1][items][0][price]": "year", "phases[0][end_date]": str(ENDS)}
    expected |= {"metadata[customer_may_change]": str(ENDS), "metadata[customer_planned]": ""}
    assert expected.items() <= sent.items()
    assert (scripted.keys[1].partition("-")[0], billed) == ("change", None)
    assert (state.pending.items, int(state.pending.at.timestamp())) == ((("year", 1),), ENDS)


async def test_what_is_planned_already_is_not_planned_again_and_another_plan_replaces_it(service, scripted):
    scripted.answer("GET", SUB, theirs(schedule=PLANS))
    scripted.answer("GET", SCHED, PLANS)
    scripted.answer("POST", SCHED, PLANS)
    state, _ = await service().change(ADA, "sub_1", LATER, None)
    assert (changed(scripted), state.pending.items) == ([], (("year", 1),))
    await service().change(ADA, "sub_1", PlanChange("year", 3, when=ChangeTime.AT_PERIOD_END), None)
    assert [call[1] for call in changed(scripted)] == [SCHED]


@pytest.mark.parametrize(("before", "released"), [(None, True), (SCHEDULE, False)])
async def test_a_plan_that_stripe_refuses_leaves_things_as_they_were(service, scripted, before, released):
    scripted.answer("GET", SUB, theirs(schedule=before))
    scripted.answer("GET", SCHED, SCHEDULE)
    scripted.answer("POST", SCHEDS, SCHEDULE)
    scripted.answer("POST", RELEASE, {**SCHEDULE, "status": "released", "subscription": None})
    scripted.refuse("POST", SCHED, "no")
    assert await codes(service().change(ADA, "sub_1", LATER, None)) == [("STRIPE_REFUSED", None)]
    assert (RELEASE in [call[1] for call in changed(scripted)]) is released


async def test_what_ends_cannot_be_changed_then(service, scripted):
    scripted.answer("GET", SUB, theirs(cancel_at_period_end=True, cancel_at=ENDS))
    assert await codes(service().change(ADA, "sub_1", LATER, None)) == [("SUBSCRIPTION_ENDING", "when")]
    assert await codes(service().preview(ADA, "sub_1", LATER)) == [("SUBSCRIPTION_ENDING", "when")]
    assert changed(scripted) == []


@pytest.mark.parametrize(("schedule", "asked"), [(None, []), (SCHEDULE, []), (PLANS, [RELEASE])])
async def test_what_is_planned_is_undone(service, scripted, schedule, asked):
    becomes(scripted, theirs(schedule=schedule), theirs())
    released = {**SCHEDULE, "status": "released", "subscription": None}
    scripted.answer("POST", RELEASE, released)
    scripted.answer("GET", SCHED, released)
    state = await service().cancel_pending(ADA, "sub_1")
    assert ([call[1] for call in changed(scripted)], state.pending) == (asked, None)


async def test_a_schedule_that_stripe_has_released_does_not_speak_for_the_one_that_manages_the_subscription(
    service, scripted, fill
):
    end = [{"start": ENDS, "begun": False, "items": [], "fixed": True, "sellers": True}]
    row = {"subscription_id": "sub_1", "status": "active", "phases": end}
    await fill(
        *(SubscriptionSchedule(id=each, as_of=int(NOW.timestamp()) + 9, **row) for each in ("sched_0", "sched_2"))
    )
    becomes(scripted, theirs(schedule=PLANS), theirs())
    released = {**SCHEDULE, "status": "released", "subscription": None}
    for each in ("sched_0", "sched_1", "sched_2"):
        scripted.answer("GET", SCHED.replace("sched_1", each), {**released, "id": each})
    scripted.answer("POST", RELEASE, released)
    await service().cancel_pending(ADA, "sub_1")
    assert [call[1] for call in changed(scripted)] == [RELEASE]


async def test_what_a_subscription_plans_for_itself_excludes_no_change_to_it_at_once(service, scripted):
    later = {"start_date": ENDS, "end_date": ENDS + 9, "items": [{"price": "disk", "quantity": 1}]}
    planned = {**PLANS, "phases": [PHASE, later]}
    becomes(scripted, theirs(schedule=planned), theirs("disk"))
    scripted.list(LIST, [])
    released = {**planned, "status": "released", "subscription": None}
    scripted.answer("POST", RELEASE, released)
    scripted.answer("GET", SCHED, planned)
    await service().change(ADA, "sub_1", PlanChange("disk", when=ChangeTime.NOW), None)
    assert [call[1] for call in changed(scripted)] == [SUB, RELEASE]


async def test_of_what_has_ended_or_is_anothers_nothing_is_undone(service, scripted):
    scripted.answer("GET", SUB, theirs(status="canceled"))
    assert await codes(service().cancel_pending(ADA, "sub_1")) == [("SUBSCRIPTION_ENDED", "subscriptionId")]
    with pytest.raises(NotFound, match="no such object"):
        await service().cancel_pending(ADA, "sub_2")


async def test_what_is_there_already_undoes_what_was_planned(service, scripted):
    becomes(scripted, theirs(schedule=PLANS), theirs())
    released = {**SCHEDULE, "status": "released", "subscription": None}
    scripted.answer("POST", RELEASE, released)
    scripted.answer("GET", SCHED, released)
    state, _ = await service().change(ADA, "sub_1", PlanChange("month"), None)
    assert ([call[1] for call in changed(scripted)], state.pending) == ([RELEASE], None)


async def test_a_change_that_waits_leaves_the_end_that_is_planned(service, scripted):
    becomes(scripted, theirs(schedule=ENDING), path=SCHED)
    scripted.answer("GET", SCHED, ENDING)
    await service().change(ADA, "sub_1", LATER, None)
    ((_, _, sent),) = changed(scripted)
    expected = {"end_behavior": "cancel", "phases[1][items][0][price]": "year", "phases[1][end_date]": str(ENDS + 9)}
    assert expected.items() <= sent.items()
    assert "phases[1][duration][interval]" not in sent


@pytest.mark.parametrize("managed", [True, False])
async def test_a_change_at_once_takes_the_place_of_one_that_waits_and_leaves_the_end(service, scripted, managed):
    """Where the schedule has let the subscription go meanwhile, there is no end to leave."""
    plans = {**PLANS, "end_behavior": "cancel"}
    becomes(scripted, theirs(schedule=plans), theirs(quantity=2, schedule=plans if managed else None))
    scripted.answer("POST", SCHED, ENDING)
    scripted.answer("GET", SCHED, {**plans, "status": "released", "subscription": None})
    await service().change(ADA, "sub_1", PlanChange("month", 2, when=ChangeTime.NOW), None)
    (_, path, _), *after = changed(scripted)
    assert (path, [call[1] for call in after]) == (SUB, [SCHED] if managed else [])
    expected = {"end_behavior": "cancel", "phases[0][items][0][quantity]": "2", "phases[0][end_date]": str(ENDS + 9)}
    for _, _, sent in after:
        assert expected.items() <= sent.items()
        assert not any(name.startswith("phases[1]") for name in sent)


SET_ASIDE = set_aside({**PLANS, "metadata": {}}, datetime.fromtimestamp(ENDS, UTC))
LEFT = {**SCHEDULE, "phases": [{**PHASE, "end_date": ENDS}], "end_behavior": "cancel", "metadata": SET_ASIDE}
GONE = {
    "to plan": (None, SCHEDS, lambda made: made.change(ADA, "sub_1", LATER, None)),
    "to plan anew": (SCHEDULE, SCHED, lambda made: made.change(ADA, "sub_1", LATER, None)),
    "to undo": (PLANS, RELEASE, lambda made: made.cancel_pending(ADA, "sub_1")),
    "to undo before an end": (ENDING_CHANGED, SCHED, lambda made: made.cancel_pending(ADA, "sub_1")),
    "to end": (BY_SELLER, SCHED, lambda made: made.endings.cancel(ADA, "sub_1", Cancellation(), None)),
    "to end at once": (
        BY_SELLER, f"{SCHED}/cancel", lambda made: made.endings.cancel(ADA, "sub_1", Cancellation(now=True), None),
    ),
    "to go on": (ENDING, RELEASE, lambda made: made.endings.resume(ADA, "sub_1", None)),
    "to go on with a change": (ENDING_CHANGED, SCHED, lambda made: made.endings.resume(ADA, "sub_1", None)),
    "to go on as it was": (LEFT, SCHED, lambda made: made.endings.resume(ADA, "sub_1", None)),
}  # fmt: skip


@pytest.mark.parametrize(("schedule", "path", "asked"), GONE.values(), ids=GONE)
async def test_whose_schedule_ended_with_it_a_moment_ago_has_ended(service, scripted, schedule, path, asked):
    scripted.answer("GET", SUB, theirs(schedule=schedule))
    scripted.answer("GET", SUB, theirs(status="canceled"))
    scripted.list(LIST, [])
    scripted.refuse("POST", path, "resource_missing", status=404)
    assert await codes(asked(service())) == [("SUBSCRIPTION_ENDED", "subscriptionId")]
    assert [call[1] for call in changed(scripted)] == [path]


async def test_a_plan_that_is_gone_before_it_is_marked_has_ended(service, scripted):
    scripted.answer("GET", SUB, theirs(schedule={**SCHEDULE, "metadata": {}}))
    scripted.answer("GET", SUB, theirs(status="canceled"))
    scripted.answer("POST", SCHED, PLANS)
    scripted.refuse("POST", SCHED, "resource_missing", status=404)
    scripted.answer("GET", SCHED, PLANS)
    assert await codes(service().change(ADA, "sub_1", LATER, None)) == [("SUBSCRIPTION_ENDED", "subscriptionId")]
