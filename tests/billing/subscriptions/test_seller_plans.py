"""What the seller has planned at a scripted Stripe: what customers may do beside it, and what becomes of it."""

from datetime import UTC, datetime

import pytest

from gateway.auth.principal import Operator, Principal, Role
from gateway.billing.subscriptions.change_request import ChangeTime, PlanChange
from gateway.billing.subscriptions.ending import Cancellation
from gateway.billing.subscriptions.set_aside import set_aside
from harness.rejected import codes
from harness.rows import item, subscription
from harness.scripted_subscription import (
    ADA,
    BY_SELLER,
    LATER,
    LIST,
    PHASE,
    PLANS,
    RELEASE,
    SCHED,
    SCHEDULE,
    STAYS,
    SUB,
    VOID,
    becomes,
    changed,
    monthly,
)
from harness.stripe_objects import ENDS, STARTED, theirs

OPERATOR = Principal(operator=Operator("ann", Role.ACT)).acting_for("cus_1")


@pytest.mark.parametrize(("who", "excluded"), [(ADA, False), (ADA, True), (OPERATOR, True)])
async def test_a_plan_that_was_set_aside_comes_back_beside_no_other_of_its_group(
    service, scripted, fill, who, excluded
):
    later = {"start_date": ENDS, "end_date": ENDS + 9, "items": [{"price": "disk", "quantity": 1}]}
    saved = set_aside({**PLANS, "phases": [PHASE, later], "metadata": {}}, datetime.fromtimestamp(ENDS, UTC))
    left = {**SCHEDULE, "phases": [{**PHASE, "end_date": ENDS}], "end_behavior": "cancel", "metadata": saved}
    if excluded:
        await fill(subscription("sub_3"), item("si_3", "disk", "disks", subscription_id="sub_3"))
    scripted.answer("GET", SUB, theirs(schedule=left))
    scripted.list("/v1/subscriptions", [])
    scripted.answer("POST", SCHED, {**left, "end_behavior": "release", "metadata": {}})
    scripted.answer("GET", SCHED, left)
    made = service()
    resumed = made.endings.resume(who, "sub_1", None)
    if excluded:
        assert await codes(resumed) == [("ALREADY_SUBSCRIBED", "subscriptionId")]
    else:
        await resumed
    assert (made.closed, [call[1] for call in changed(scripted)]) == (["ada"], [] if excluded else [SCHED])
    asked = [call[2]["customer"] for call in scripted.calls if call[:2] == ("GET", LIST)]
    assert asked == ["cus_1"]


async def test_what_the_seller_has_planned_stays_whatever_the_customer_does(service, scripted):
    scripted.answer("GET", SUB, theirs(schedule=BY_SELLER))
    scripted.answer("GET", SCHED, BY_SELLER)
    made, refused = service(seller_plans_binding=True), [("PLANNED_BY_SELLER", "subscriptionId")]
    for wanted in (PlanChange("year"), LATER, PlanChange("month", 2)):
        assert await codes(made.change(ADA, "sub_1", wanted, None)) == refused
        assert await codes(made.preview(ADA, "sub_1", wanted)) == refused
    assert await codes(made.cancel_pending(ADA, "sub_1")) == refused
    state, _ = await made.change(ADA, "sub_1", PlanChange("month"), None)  # it is so already
    assert state.pending == (await made.endings.resume(ADA, "sub_1", None)).pending
    assert state.pending.items == (("year", 1),)
    assert changed(scripted) == []


END_BY_SELLER = {**SCHEDULE, "end_behavior": "cancel", "metadata": {}}


@pytest.mark.parametrize("binding", [True, False])
async def test_an_end_that_the_seller_has_planned_binds_where_it_is_to_and_no_rest_before_it(
    service, scripted, binding
):
    released = {**END_BY_SELLER, "status": "released", "subscription": None}
    becomes(scripted, theirs(schedule=END_BY_SELLER), *([] if binding else [theirs()]))
    scripted.answer("POST", RELEASE, released)
    scripted.answer("GET", SCHED, END_BY_SELLER if binding else released)
    resume = service(seller_plans_binding=binding).endings.resume
    if binding:
        assert await codes(resume(ADA, "sub_1", None)) == [("PLANNED_BY_SELLER", "subscriptionId")]
        assert changed(scripted) == []
        scripted.forget()
        becomes(scripted, monthly(schedule=END_BY_SELLER, cancel_at=ENDS, **VOID))
        scripted.answer("GET", SCHED, END_BY_SELLER)
        await resume(ADA, "sub_1", None)
        assert changed(scripted) == [("POST", SUB, {"pause_collection": ""})]
    else:
        await resume(ADA, "sub_1", None)
        assert [call[1] for call in changed(scripted)] == [RELEASE]


@pytest.mark.parametrize("binding", [True, False])
async def test_who_leaves_sets_aside_what_the_seller_has_planned_and_gets_it_back(service, scripted, binding):
    made = service(seller_plans_binding=binding)
    over = {**BY_SELLER, "phases": [PHASE], "end_behavior": "cancel"}
    scripted.answer("GET", SUB, theirs(schedule=BY_SELLER))
    scripted.answer("POST", SCHED, over)
    scripted.answer("GET", SCHED, over)
    await made.endings.cancel(ADA, "sub_1", Cancellation(feedback="unused", comment="Bye"), "k")
    ((_, path, sent),) = changed(scripted)
    assert scripted.keys[0].partition("-")[0] == "cancel"
    assert (path, sent["end_behavior"], sent["phases[0][end_date]"]) == (SCHED, "cancel", str(ENDS))
    saved = {name[9:-1]: text for name, text in sent.items() if name.startswith("metadata[")}
    assert (saved.pop("feedback"), saved.pop("comment"), saved["ended_by_customer"]) == ("unused", "Bye", str(ENDS))
    assert not any(name.startswith("phases[1]") for name in sent)
    over["metadata"] = saved
    scripted.forget()
    scripted.answer("GET", SUB, theirs(schedule=over))
    scripted.answer("GET", SCHED, over)
    scripted.calls.clear()
    state = await made.endings.cancel(ADA, "sub_1", Cancellation(), None)  # which it is already
    assert (int(state.planned.end.timestamp()), state.pending, changed(scripted)) == (ENDS, None, [])
    assert await codes(made.change(ADA, "sub_1", LATER, None)) == [("SUBSCRIPTION_ENDING", "subscriptionId")]
    for spoilt in ({"set_aside_1": "}"}, {"set_aside_0": ""}):
        over["metadata"] = saved | spoilt
        assert await codes(made.endings.resume(ADA, "sub_1", None)) == [("PLANNED_BY_SELLER", "subscriptionId")]
    assert changed(scripted) == []
    over["metadata"] = saved
    becomes(scripted, theirs(schedule=over), theirs(schedule=BY_SELLER), path=SCHED)
    await made.endings.resume(ADA, "sub_1", None)
    ((_, path, sent),) = changed(scripted)
    expected = {"phases[0][end_date]": str(ENDS), "phases[1][end_date]": str(ENDS + 9), "end_behavior": "release"}
    expected |= {"phases[1][items][0][price]": "year", "phases[1][items][0][quantity]": "1"}
    expected |= {f"metadata[{name}]": "" for name in saved}
    assert (path, expected.items() <= sent.items()) == (SCHED, True)


@pytest.mark.parametrize("reason", ["unused", None])
async def test_an_end_at_once_takes_what_the_seller_has_planned_along_or_fails_as_a_whole(service, scripted, reason):
    becomes(scripted, theirs(schedule=BY_SELLER), theirs(status="canceled", ended_at=STARTED + 9))
    scripted.answer("POST", f"{SCHED}/cancel", {**BY_SELLER, "status": "canceled"})
    scripted.answer("GET", SCHED, {**BY_SELLER, "status": "canceled"})
    state = await service().endings.cancel(ADA, "sub_1", Cancellation(now=True, feedback=reason), None)
    (ended, *reasons) = changed(scripted)
    assert ended == ("POST", f"{SCHED}/cancel", {"invoice_now": "true", "prorate": "false"})
    assert reasons == ([("POST", SUB, {"cancellation_details[feedback]": reason})] if reason else [])
    assert scripted.keys[1:] == (["details-sub_1-sched_1"] if reason else [])
    assert state.subscription.status == "canceled"


@pytest.mark.parametrize(("code", "status"), [("no", 400), ("resource_missing", 404)])
async def test_that_stripe_takes_no_reason_undoes_no_end(service, scripted, code, status):
    becomes(scripted, theirs(schedule=BY_SELLER), theirs(status="canceled", ended_at=STARTED + 9))
    scripted.forget("POST", SUB)
    scripted.refuse("POST", SUB, code, status=status)
    scripted.answer("POST", f"{SCHED}/cancel", {**BY_SELLER, "status": "canceled"})
    scripted.answer("GET", SCHED, {**BY_SELLER, "status": "canceled"})
    state = await service().endings.cancel(ADA, "sub_1", Cancellation(now=True, feedback="unused"), None)
    assert state.subscription.status == "canceled"


FREE_AGAIN = {
    "it is undone": lambda made: made.cancel_pending(ADA, "sub_1"),
    "what is there already is chosen": lambda made: made.change(ADA, "sub_1", PlanChange("month"), None),
    "another is chosen": lambda made: made.change(ADA, "sub_1", PlanChange("year", when=ChangeTime.NOW), None),
}


@pytest.mark.parametrize("asked", FREE_AGAIN.values(), ids=FREE_AGAIN)
async def test_what_the_seller_has_planned_is_given_up_for_what_anybody_can_buy(service, scripted, asked):
    becomes(scripted, theirs(schedule=BY_SELLER), theirs())
    released = {**BY_SELLER, "status": "released", "subscription": None}
    scripted.answer("POST", RELEASE, released)
    scripted.answer("GET", SCHED, released)
    await asked(service())
    assert changed(scripted)[-1][1] == RELEASE


async def test_where_no_change_is_planned_the_sellers_end_is_no_error(service, scripted):
    scripted.answer("GET", SUB, theirs(schedule={**BY_SELLER, "phases": [PHASE, STAYS], "end_behavior": "cancel"}))
    state = await service(seller_plans_binding=True).cancel_pending(ADA, "sub_1")
    assert (int(state.planned.end.timestamp()), changed(scripted)) == (ENDS + 9, [])
