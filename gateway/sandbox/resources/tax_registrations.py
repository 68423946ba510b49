"""Where the account is registered to collect taxes. https://docs.stripe.com/api/tax/registrations.

They are kept as they are told, with the status that their dates give: which taxes a calculation has is up to the
account's own tax rates (`tax_calculations`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("tax.registration", "taxreg", "registration", path="registration")


@route("POST", "/v1/tax/registrations", params="tax.RegistrationCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Register in a country, from now on or from a moment."""
    registration: Obj = {"object": "tax.registration", "expires_at": None, **request.params}
    return _shown(sandbox, sandbox.create(_dated(sandbox, registration)))


@route("GET", "/v1/tax/registrations", params="tax.RegistrationListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List registrations; `status` is what they are by now."""
    wanted = request.params.get("status", "all")
    found = page(
        sandbox,
        request,
        "tax.registration",
        lambda each: wanted in ("all", _shown(sandbox, each)["status"]),
        status=None,
    )
    return {**found, "data": [_shown(sandbox, each) for each in found["data"]]}


@route("GET", "/v1/tax/registrations/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a registration."""
    return _shown(sandbox, sandbox.need("tax.registration", id))


@route("POST", "/v1/tax/registrations/{id}", params="tax.RegistrationUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change from when until when a registration is good."""
    changed = merge(sandbox.need("tax.registration", id), request.params)
    return _shown(sandbox, sandbox.update(_dated(sandbox, changed)))


def _dated(sandbox: Sandbox, registration: Obj) -> Obj:
    now = sandbox.now()
    dates = {name: registration[name] for name in ("active_from", "expires_at")}
    return {**registration, **{name: now if moment == "now" else moment for name, moment in dates.items()}}


def _shown(sandbox: Sandbox, registration: Obj) -> Obj:
    now, end = sandbox.now(), registration["expires_at"]
    status = "expired" if end and end <= now else "scheduled" if registration["active_from"] > now else "active"
    return {**registration, "status": status}
