"""The account's tax settings: inactive until there is a head office. https://docs.stripe.com/api/tax/settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.routing import route
from gateway.sandbox.core.errors import StripeError
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.templates import complete

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

_KIND = "tax.settings"
_BLANK: Obj = {"defaults": {"provider": "stripe", "tax_behavior": None, "tax_code": None}, "head_office": None}


@route("GET", "/v1/tax/settings")
def retrieve(sandbox: Sandbox, _: Request) -> Obj:
    """Show the settings."""
    return _present(sandbox)


@route("POST", "/v1/tax/settings", params="tax.SettingsUpdateParams")
def update(sandbox: Sandbox, request: Request) -> Obj:
    """Change the settings; a head office activates Stripe Tax."""
    changed = merge(sandbox.store.get(_KIND, _KIND) or _BLANK, request.params)
    sandbox.store.put({**changed, "object": _KIND, "id": _KIND})
    shown = _shown(changed)
    sandbox.emit("tax.settings.updated", shown)
    return shown


def need_active(sandbox: Sandbox) -> None:
    """Refuse a calculation of an account that has not activated Stripe Tax (docs.stripe.com/error-codes).

    Raises:
        StripeError: `stripe_tax_inactive`.
    """
    if _present(sandbox)["status"] != "active":
        raise StripeError(
            "Stripe Tax has not been activated on your account: set `head_office[address]` by POST /v1/tax/settings.",
            code="stripe_tax_inactive",
        )


def _present(sandbox: Sandbox) -> Obj:
    return _shown(sandbox.store.get(_KIND, _KIND) or _BLANK)


def _shown(settings: Obj) -> Obj:
    active = bool((settings["head_office"] or {}).get("address"))
    status = {"active": {}} if active else {"pending": {"missing_fields": ["head_office"]}}
    given = {name: settings[name] for name in ("defaults", "head_office")}
    return complete({"object": _KIND, **given, "status": "active" if active else "pending", "status_details": status})
