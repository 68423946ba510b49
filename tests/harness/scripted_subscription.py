"""Ada's subscription at a scripted Stripe: its paths, its schedules, what it becomes, and what was asked of it."""

from gateway.auth.principal import Principal
from gateway.billing.subscriptions.change_request import ChangeTime, ItemChange, PlanChange
from harness.scripted_stripe import Call, ScriptedStripe
from harness.stripe_objects import ENDS, STARTED, theirs

ADA = Principal(subject="ada")
SUB, LIST, PREVIEW = "/v1/subscriptions/sub_1", "/v1/subscriptions", "/v1/invoices/create_preview"
SCHED, SCHEDS = "/v1/subscription_schedules/sched_1", "/v1/subscription_schedules"
RELEASE = f"{SCHED}/release"

TO_YEAR = {"items[0][id]": "si_1", "items[0][price]": "year", "items[0][quantity]": "1"}
"""What Stripe is told of the new plan, and how it shall bill it."""
HOW = {"proration_behavior": "always_invoice", "payment_behavior": "error_if_incomplete", "expand[0]": "latest_invoice"}

LATER = PlanChange("year", when=ChangeTime.AT_PERIOD_END)
TO_YEAR_ITEM, NO_DISK = ItemChange("year", item_id="si_1"), ItemChange(item_id="si_2", remove=True)

PHASE = {"start_date": STARTED, "end_date": ENDS, "items": [{"price": "month", "quantity": 1}]}
THEN = {"start_date": ENDS, "end_date": ENDS + 9, "items": [{"price": "year", "quantity": 1}]}
STAYS = {**THEN, "items": PHASE["items"]}
SCHEDULE = {
    "id": "sched_1", "object": "subscription_schedule", "customer": "cus_1", "subscription": "sub_1",
    "status": "active", "created": STARTED, "phases": [PHASE], "current_phase": PHASE,
    "end_behavior": "release", "metadata": {"customer_may_change": "true"},
}  # fmt: skip
"""A schedule of the customer's own that plans nothing; then with a change, an end, and both."""
PLANS = {**SCHEDULE, "phases": [PHASE, THEN]}
ENDING = {**SCHEDULE, "phases": [PHASE, STAYS], "end_behavior": "cancel"}
ENDING_CHANGED = {**PLANS, "end_behavior": "cancel"}
BY_SELLER = {**PLANS, "metadata": {}}

VOID = {"pause_collection": {"behavior": "void"}}


def changed(scripted: ScriptedStripe) -> list[Call]:
    """Return what Stripe was asked to change, in order."""
    return [call for call in scripted.calls if call[0] != "GET"]


def becomes(scripted: ScriptedStripe, *states: dict, method: str = "POST", path: str = SUB) -> None:
    """Let Stripe have the first state, and once it has done what it is asked, the last."""
    for each in states:
        scripted.answer("GET", SUB, each)
    scripted.answer(method, path, states[-1])


def monthly(**columns) -> dict:
    """Return the subscription with what a pause reads of it: its anchor and the interval of its price."""
    obj = theirs(billing_cycle_anchor=STARTED, **columns)
    recurring = {"interval": "month", "interval_count": 1, "usage_type": "licensed"}
    obj["items"]["data"][0]["price"]["recurring"] = recurring
    return obj


def with_disk(ends: int = ENDS, **columns) -> dict:
    """Return the subscription with a disk beside its plan, whose period may end another day."""
    first = theirs()["items"]["data"][0]
    disk = {**first, "id": "si_2", "price": {"id": "disk", "product": "disks"}, "current_period_end": ends}
    return theirs(items={"data": [first, disk]}, **columns)


def entries(*items: ItemChange, when: ChangeTime = ChangeTime.AT_PERIOD_END) -> PlanChange:
    """Return a change of several items."""
    return PlanChange(items=items, when=when)
