"""The account's ledger: a balance transaction for all that moves money, with Stripe's fee.

Every currency settles in itself, nothing is paid out unless asked for, and the fees are those of an account in the
United States.

Sources: docs.stripe.com/api/balance_transactions/object, docs.stripe.com/reports/balance-transaction-types,
stripe.com/pricing; amounts, fees and days as recorded (pay, stripe_can_create_a_subscription #5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.core import cards, money
from gateway.sandbox.core.periods import DAY
from gateway.sandbox.core.registry import expandable

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

_SETTLING_DAYS = 7  # until midnight (UTC) of which a payment is pending
_ASYNC_SECONDS = 2
_CARD_PERCENT, _CARD_FIXED = "2.9", 30
_DEBIT_PERCENT, _DEBIT_MOST = "0.8", 500
_DISPUTE_FEE = 1500


def charged(sandbox: Sandbox, charge: Obj, *, later: bool = False) -> None:
    """Book a captured charge in place; `later` as with `automatic_async`, which tells of it by `charge.updated`.

    Source: docs.stripe.com/payments/payment-intents/asynchronous-capture
    """
    if later:
        sandbox.clock.schedule(sandbox.now(charge) + _ASYNC_SECONDS, "charge.book", charge)
        return
    card = charge["payment_method_details"]["type"] == "card"
    amount = charge["amount_captured"]
    behaviour = cards.behaviour_of(sandbox.need("payment_method", charge["payment_method"]))
    charge["balance_transaction"] = _book(
        sandbox,
        charge,
        available_on=sandbox.now(charge) if behaviour.bypasses_pending else None,
        type="charge" if card else "payment",
        category="charge",
        amount=amount,
        fee=_card_fee(amount, charge["currency"]) if card else _debit_fee(amount),
        description=charge["description"],
    )


def book_planned(sandbox: Sandbox, id: str) -> None:
    """Book a charge that was captured a moment ago."""
    charge = sandbox.need("charge", id)
    if charge["balance_transaction"] is None:
        charged(sandbox, charge)
        sandbox.update(charge, "charge.updated")


def refunded(sandbox: Sandbox, refund: Obj, charge: Obj) -> None:
    """Book a refund in place. Stripe keeps its fee."""
    book_planned(sandbox, charge["id"])
    card = charge["payment_method_details"]["type"] == "card"
    about = f" ({charge['description']})" if charge["description"] else ""
    refund["balance_transaction"] = _book(
        sandbox,
        refund,
        type="refund" if card else "payment_refund",
        category="refund",
        amount=-refund["amount"],
        description=f"REFUND FOR {'CHARGE' if card else 'PAYMENT'}{about}",
    )


def refund_failed(sandbox: Sandbox, refund: Obj) -> None:
    """Book in place that a refund's money came back."""
    card = (refund.get("destination_details") or {}).get("type") == "card"
    refund["failure_balance_transaction"] = _book(
        sandbox,
        refund,
        type="refund_failure" if card else "payment_failure_refund",
        category="refund_failure",
        amount=refund["amount"],
        description="REFUND FAILURE",
    )


def disputed(sandbox: Sandbox, dispute: Obj) -> None:
    """Book in place that a dispute takes the money, and a fee that is lost whoever wins."""
    _of_dispute(sandbox, dispute, -dispute["amount"], "dispute", "withdrawal", fee=_DISPUTE_FEE)


def reinstated(sandbox: Sandbox, dispute: Obj) -> None:
    """Book in place that a dispute was won and the money comes back."""
    _of_dispute(sandbox, dispute, dispute["amount"], "dispute_reversal", "reversal")


def paid_out(sandbox: Sandbox, payout: Obj) -> str:
    """Book that a payout takes its amount off the available balance, and return the transaction's id."""
    return _of_payout(sandbox, payout, "payout", -payout["amount"], "STRIPE PAYOUT")


def payout_canceled(sandbox: Sandbox, payout: Obj) -> str:
    """Book that a canceled payout gives its amount back, and return the transaction's id."""
    return _of_payout(sandbox, payout, "payout_cancel", payout["amount"], "STRIPE PAYOUT CANCEL")


def available(sandbox: Sandbox, currency: str) -> int:
    """Return how much of a currency can be paid out."""
    booked = (shown(sandbox, each) for each in sandbox.store.scan("balance_transaction"))
    return sum(each["net"] for each in booked if (each["currency"], each["status"]) == (currency, "available"))


def shown(sandbox: Sandbox, transaction: Obj) -> Obj:
    """Return a balance transaction with the status that it has by now."""
    over = transaction["available_on"] <= sandbox.now(transaction["_of"])
    return {**transaction, "status": "available" if over else "pending"}


@expandable("charge", "balance_transaction")
@expandable("refund", "balance_transaction")
@expandable("payout", "balance_transaction")
def _expanded(sandbox: Sandbox, source: Obj) -> Obj | None:
    found = source["balance_transaction"]
    return shown(sandbox, sandbox.need("balance_transaction", found)) if found else None


def _of_dispute(sandbox: Sandbox, dispute: Obj, amount: int, category: str, what: str, *, fee: int = 0) -> None:
    booked = _book(
        sandbox,
        dispute,
        type="adjustment",
        category=category,
        amount=amount,
        fee=fee,
        fee_description="Dispute fee",
        description=f"Chargeback {what} for {dispute['charge']}",
        available_on=sandbox.now(dispute["charge"]),
    )
    transaction = shown(sandbox, sandbox.need("balance_transaction", booked))
    del transaction["_of"]
    dispute["balance_transactions"] = [*dispute["balance_transactions"], transaction]


def _of_payout(sandbox: Sandbox, payout: Obj, type: str, amount: int, description: str) -> str:
    category = "payout" if type == "payout" else "payout_reversal"
    return _book(
        sandbox,
        payout,
        type=type,
        category=category,
        amount=amount,
        description=description,
        available_on=sandbox.now(),
    )


def _book(
    sandbox: Sandbox,
    source: Obj,
    *,
    type: str,
    category: str,
    amount: int,
    description: str | None,
    fee: int = 0,
    fee_description: str = "Stripe processing fees",
    available_on: int | None = None,
) -> str:
    now = sandbox.now(source.get("charge") or source)
    made = sandbox.create(
        {
            "object": "balance_transaction",
            "amount": amount,
            "available_on": available_on or (now // DAY + _SETTLING_DAYS) * DAY,
            "balance_type": "payments",
            "created": now,
            "currency": source["currency"],
            "description": description,
            "fee": fee,
            "fee_details": [_fee_detail(fee, source["currency"], fee_description)] if fee else [],
            "net": amount - fee,
            "reporting_category": category,
            "source": source["id"],
            "status": "pending",
            "type": type,
            "_of": source.get("charge") or source["id"],
        }
    )
    return str(made["id"])


def _fee_detail(amount: int, currency: str, description: str) -> Obj:
    return {
        "amount": amount,
        "application": None,
        "currency": currency,
        "description": description,
        "type": "stripe_fee",
    }


def _card_fee(amount: int, currency: str) -> int:
    places = max(0, money.exponent(currency) - 2)
    return money.percentage(amount, _CARD_PERCENT) + _CARD_FIXED * int(10**places)


def _debit_fee(amount: int) -> int:
    return min(money.percentage(amount, _DEBIT_PERCENT), _DEBIT_MOST)
