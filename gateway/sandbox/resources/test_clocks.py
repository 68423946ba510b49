"""Test clocks: customers whose time is moved by hand. https://docs.stripe.com/api/test_clocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.core.errors import invalid
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("test_helpers.test_clock", "clock", "test clock")

_LIFETIME = 30 * 24 * 3600


@route("POST", "/v1/test_helpers/test_clocks", params="test_helpers.TestClockCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a test clock that stands still at `frozen_time`."""
    clock = {
        "object": "test_helpers.test_clock",
        "created": sandbox.now(),
        "deletes_after": sandbox.now() + _LIFETIME,
        "frozen_time": request.params["frozen_time"],
        "name": request.params.get("name"),
        "status": "ready",
        "status_details": {},
    }
    return sandbox.create(clock, "test_helpers.test_clock.created")


@route("GET", "/v1/test_helpers/test_clocks", params="test_helpers.TestClockListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List test clocks."""
    return page(sandbox, request, "test_helpers.test_clock")


@route("GET", "/v1/test_helpers/test_clocks/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a test clock; `status` is `ready` when an advance has come to its end."""
    return sandbox.need("test_helpers.test_clock", id)


@route("DELETE", "/v1/test_helpers/test_clocks/{id}")
def delete(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Delete a test clock with its customers and their subscriptions."""
    clock = sandbox.need("test_helpers.test_clock", id)
    for customer in sandbox.store.find("customer", test_clock=id):
        for subscription in sandbox.store.find("subscription", customer=customer["id"]):
            sandbox.store.delete("subscription", subscription["id"])
        sandbox.remove(customer)
    for entry in sandbox.store.find("_job", clock=id):
        sandbox.store.delete("_job", entry["id"])
    return sandbox.remove(clock, "test_helpers.test_clock.deleted")


@route("POST", "/v1/test_helpers/test_clocks/{id}/advance", params="test_helpers.TestClockAdvanceParams")
def advance(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Begin to move a test clock forward; it goes on in the background until `status` is `ready`."""
    clock = sandbox.need("test_helpers.test_clock", id)
    target = request.params["frozen_time"]
    if clock["status"] != "ready":
        raise invalid("The test clock is still advancing. Wait until its status is ready.", code="test_clock_not_ready")
    if target <= clock["frozen_time"]:
        raise invalid("The frozen_time must be later than the clock's current frozen_time.", "frozen_time")
    details = {"advancing": {"target_frozen_time": target}}
    clock = sandbox.store.put({**clock, "status": "advancing", "status_details": details})
    sandbox.emit("test_helpers.test_clock.advancing", clock)
    sandbox.wake()
    return clock


def arrive(sandbox: Sandbox, id: str) -> None:
    """End an advance: the clock stands at its target."""
    clock = sandbox.need("test_helpers.test_clock", id)
    target = clock["status_details"]["advancing"]["target_frozen_time"]
    clock = sandbox.store.put({**clock, "frozen_time": target, "status": "ready", "status_details": {}})
    sandbox.emit("test_helpers.test_clock.ready", clock)


def fail(sandbox: Sandbox, id: str) -> None:
    """End an advance that came upon a fault of the sandbox's own."""
    clock = sandbox.need("test_helpers.test_clock", id)
    clock = sandbox.store.put({**clock, "status": "internal_failure", "status_details": {}})
    sandbox.emit("test_helpers.test_clock.internal_failure", clock)
