"""Payouts: money of the available balance goes to the account's bank, and arrives two days later.

Source: docs.stripe.com/api/payouts. All are made by hand: the offline account has no schedule of payouts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.billing import ledger
from gateway.sandbox.core.errors import StripeError, invalid
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.periods import DAY, MINUTE

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

BANK_ACCOUNT = "ba_1SandboxSandboxSandbox00"
"""The bank account of the account, to which everything is paid."""
_STANDARD_DAYS = 2
_INSTANT = 30 * MINUTE


def create(sandbox: Sandbox, params: Obj) -> Obj:
    """Pay out an amount that is available.

    Raises:
        StripeError: `balance_insufficient`, an amount below 1, or a bank account that the account does not have.
    """
    amount, currency, now = params["amount"], params["currency"].lower(), sandbox.now()
    if amount < 1:
        raise invalid("This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer")
    if params.get("destination", BANK_ACCOUNT) != BANK_ACCOUNT:
        raise StripeError(
            f"No such external account: '{params['destination']}'", code="resource_missing", param="destination"
        )
    if amount > ledger.available(sandbox, currency):
        raise StripeError(
            "You have insufficient funds in your Stripe account for this transfer. Your card balance is too low. You "
            "can use the the /v1/balance endpoint to view your Stripe balance (for more details, see "
            "stripe.com/docs/api#balance).",
            code="balance_insufficient",
            param="amount",
        )
    instant = params.get("method") == "instant"
    blank: Obj = {
        "object": "payout",
        "id": sandbox.new_id("po"),
        "arrival_date": now + _INSTANT if instant else (now // DAY + _STANDARD_DAYS) * DAY,
        "automatic": False,
        "destination": BANK_ACCOUNT,
        "metadata": {},
        "method": "standard",
        "reconciliation_status": "not_applicable",
        "source_type": "card",
        "status": "pending",
        "trace_id": {"status": "pending", "value": None},
        "type": "bank_account",
    }
    payout = merge(blank, {**params, "currency": currency})
    payout["balance_transaction"] = ledger.paid_out(sandbox, payout)
    payout = sandbox.create(payout, "payout.created")
    sandbox.clock.schedule(payout["arrival_date"], "payout.arrive", payout)
    return payout


def arrive(sandbox: Sandbox, id: str) -> None:
    """Let the bank have the money."""
    payout = sandbox.need("payout", id)
    if payout["status"] == "pending":
        trace = {"status": "supported", "value": id.removeprefix("po_")}
        sandbox.update(payout | {"status": "paid", "trace_id": trace}, "payout.paid")


def cancel(sandbox: Sandbox, payout: Obj) -> Obj:
    """Take a payout back that has not arrived.

    Raises:
        StripeError: It has.
    """
    if payout["status"] != "pending":
        raise invalid(f"Payouts can only be canceled while they are pending; this one is {payout['status']}.")
    sandbox.clock.cancel("payout.arrive", payout)
    payout |= {"status": "canceled", "failure_balance_transaction": ledger.payout_canceled(sandbox, payout)}
    return sandbox.update(payout, "payout.canceled")
