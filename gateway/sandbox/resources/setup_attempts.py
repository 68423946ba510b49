"""Setup attempts: what each confirmation of a setup intent came to. https://docs.stripe.com/api/setup_attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("setup_attempt", "setatt", "setup attempt")


@route("GET", "/v1/setup_attempts", params="SetupAttemptListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List the attempts of a setup intent."""
    sandbox.need("setup_intent", request.params["setup_intent"], "setup_intent")
    return page(sandbox, request, "setup_attempt")
