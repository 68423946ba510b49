"""The account that the sandbox stands for. https://docs.stripe.com/api/accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page, page_of
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing.bank_accounts import fingerprint
from gateway.sandbox.billing.payouts import BANK_ACCOUNT
from gateway.sandbox.core.errors import resource_missing
from gateway.sandbox.core.registry import expandable, kind
from gateway.sandbox.core.templates import complete
from gateway.sandbox.options import ACCOUNT_NAME

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("account", "acct", "account")

ACCOUNT_ID = "acct_1SandboxSandbox00"
NAME = ACCOUNT_NAME


@route("GET", "/v1/account")
def own(sandbox: Sandbox, _: Request) -> Obj:
    """Return the account of the API key."""
    return complete(
        {
            "id": ACCOUNT_ID,
            "object": "account",
            "business_profile": {"name": NAME},
            "business_type": "company",
            "capabilities": {"card_payments": "active", "transfers": "active"},
            "charges_enabled": True,
            "country": "US",
            "created": sandbox.now(),
            "default_currency": "usd",
            "details_submitted": True,
            "email": "billing@northwind.example",
            "metadata": {},
            "payouts_enabled": True,
            "settings": {
                "branding": dict.fromkeys(("icon", "logo", "primary_color", "secondary_color")),
                "card_payments": {"statement_descriptor_prefix": None},
                "dashboard": {"display_name": NAME, "timezone": "Etc/UTC"},
                "payments": {"statement_descriptor": NAME.upper()},
            },
            "type": "standard",
        }
    )


@route("GET", "/v1/accounts", params="AccountListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List connected accounts: there are none."""
    return page(sandbox, request, "account")


@route("GET", "/v1/accounts/{id}")
def retrieve(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Retrieve an account; there is only the own one."""
    if id != ACCOUNT_ID:
        raise resource_missing("account", id)
    found: Obj = own(sandbox, request)
    return found


@route("GET", "/v1/accounts/{id}/external_accounts", params="AccountExternalAccountListParams")
def external_accounts(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """List where payouts go: to the own account's one bank account."""
    retrieve(sandbox, request, id)
    cards_only = request.params.get("object") == "card"
    return page_of(request, [] if cards_only else [_bank_account()])


@route("GET", "/v1/accounts/{id}/external_accounts/{bank}")
def external_account(sandbox: Sandbox, request: Request, id: str, bank: str) -> Obj:
    """Retrieve the bank account."""
    retrieve(sandbox, request, id)
    if bank != BANK_ACCOUNT:
        raise resource_missing("external account", bank)
    return _bank_account()


@expandable("payout", "destination")
def _destination(_: Sandbox, __: Obj) -> Obj:
    return _bank_account()


def _bank_account() -> Obj:
    return complete(
        {
            "id": BANK_ACCOUNT,
            "object": "bank_account",
            "account": ACCOUNT_ID,
            "bank_name": "STRIPE TEST BANK",
            "country": "US",
            "currency": "usd",
            "default_for_currency": True,
            "fingerprint": fingerprint("000123456789"),
            "last4": "6789",
            "metadata": {},
            "routing_number": "110000000",
            "status": "new",
        }
    )
