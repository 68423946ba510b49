"""Subscription schedules. https://docs.stripe.com/api/subscription_schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import changes, schedule_phases, schedules, subscriptions
from gateway.sandbox.core.errors import invalid, parameter_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("subscription_schedule", "sub_sched", "subscription schedule")


@route("POST", "/v1/subscription_schedules", params="SubscriptionScheduleCreateParams", legacy=("phases",))
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a schedule: from phases, or around a subscription that exists."""
    params = request.params
    if "from_subscription" in params:
        return _around(sandbox, sandbox.need("subscription", params["from_subscription"], "from_subscription"))
    if "customer" not in params:
        raise parameter_missing("customer")
    customer = sandbox.need("customer", params["customer"], "customer")
    now = sandbox.now(customer)
    start: Any = params.get("start_date", now)
    made = schedule_phases.phases(sandbox, _listed(params.get("phases")), now if start == "now" else int(start))
    schedule = sandbox.create(
        merge(_blank(customer["id"], customer["test_clock"], made), params, "end_behavior", "metadata"),
        "subscription_schedule.created",
    )
    schedules.begin(sandbox, schedule)
    return sandbox.need("subscription_schedule", schedule["id"])


def _blank(customer: str, test_clock: str | None, made: list[Obj]) -> Obj:
    return {
        "object": "subscription_schedule",
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible"},
        "current_phase": None,
        "customer": customer,
        "default_settings": {
            "billing_cycle_anchor": "automatic",
            "collection_method": "charge_automatically",
            "invoice_settings": {"account_tax_ids": None, "days_until_due": None, "issuer": {"type": "self"}},
        },
        "end_behavior": "release",
        "metadata": {},
        "pause_schedules": [],
        "phases": made,
        "status": "not_started",
        "subscription": None,
        "test_clock": test_clock,
    }


def _listed(given: Any) -> list[Obj]:
    """Return the phases as a list: the Stripe CLI numbers them (`phases[0][items]…`)."""
    return list(given.values()) if isinstance(given, dict) else given or []


def _around(sandbox: Sandbox, subscription: Obj) -> Obj:
    if subscription["status"] in subscriptions.FINAL or subscription["schedule"]:
        raise invalid("This subscription is over, or has a schedule already.", "from_subscription")
    made = [schedule_phases.present_phase(sandbox, subscription)]
    schedule = _blank(subscription["customer"], subscription["test_clock"], made)
    schedule["billing_mode"] = subscription["billing_mode"]
    for name in ("collection_method", "default_payment_method", "description"):
        schedule["default_settings"][name] = subscription[name]
    schedule |= {"status": "active", "subscription": subscription["id"]}
    schedule = sandbox.create(schedule, "subscription_schedule.created")
    subscriptions.save(sandbox, subscription | {"schedule": schedule["id"]})
    schedules.follow(sandbox, schedule, schedule["phases"][0])
    return schedule


@route("GET", "/v1/subscription_schedules", params="SubscriptionScheduleListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List schedules."""
    return page(sandbox, request, "subscription_schedule", scheduled=None)


@route("GET", "/v1/subscription_schedules/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a schedule."""
    return sandbox.need("subscription_schedule", id)


@route("POST", "/v1/subscription_schedules/{id}", params="SubscriptionScheduleUpdateParams", legacy=("phases",))
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change a schedule; phases are given anew, the first of them being the current one."""
    before = sandbox.need("subscription_schedule", id)
    if before["status"] not in schedules.LIVE:
        raise invalid(f"You cannot update a subscription schedule that is {before['status']}.")
    schedule = merge(before, request.params, "end_behavior", "metadata")
    given = _listed(request.params.get("phases"))
    if given:
        start: Any = given[0].get("start_date") or before["phases"][0]["start_date"]
        schedule["phases"] = schedule_phases.phases(
            sandbox, given, sandbox.now(before) if start == "now" else int(start)
        )
        schedule["_warned"] = False
    sandbox.update(schedule, "subscription_schedule.updated")
    if given and schedule["status"] == "active":
        schedules.enter(sandbox, id)
    elif given:
        schedules.begin(sandbox, schedule)
    return sandbox.need("subscription_schedule", id)


@route("POST", "/v1/subscription_schedules/{id}/cancel", params="SubscriptionScheduleCancelParams")
def cancel(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Cancel a schedule and its subscription."""
    schedule = sandbox.need("subscription_schedule", id)
    begun = schedule["subscription"]
    schedules.stop(sandbox, schedule, "canceled")
    if begun:
        changes.cancel(sandbox, sandbox.need("subscription", begun), request.params)
    else:
        sandbox.emit("subscription_schedule.aborted", schedule)
    return sandbox.need("subscription_schedule", id)


@route("POST", "/v1/subscription_schedules/{id}/release", params="SubscriptionScheduleReleaseParams")
def release(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Let the subscription go on without its schedule."""
    schedule = sandbox.need("subscription_schedule", id)
    subscription = sandbox.store.get("subscription", schedule["subscription"] or "")
    released = schedules.stop(
        sandbox, schedule, "released", released_subscription=schedule["subscription"], subscription=None
    )
    if subscription:
        subscriptions.save(sandbox, subscription | {"schedule": None})
    return released
