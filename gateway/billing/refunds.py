"""Money back for an invoice: as a refund of its payment, or as credit for later invoices (a credit note).

The credits and the access that were paid for follow what went back (`credits/settlement.py`,
`subscriptions/paid_time.py`) by the same effects as when it is done in Stripe's dashboard. Never more goes back than
was paid: what went back by refunds, lost disputes and credit notes is counted together, which Stripe does not do.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from gateway.billing import returns
from gateway.billing.audit import Action, Attempt, AuditLog, Json
from gateway.billing.subscriptions.validation import check, refused
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.db.locks import user_lock
from gateway.db.tables import table_for
from gateway.errors import NotFound, StripeMissing, StripeRefused
from gateway.mirror.sync import Mirror
from gateway.models.mirrored import Customer, Invoice
from gateway.stripe_api.client import Stripe

REFUNDS, CREDIT_NOTES = "/v1/refunds", "/v1/credit_notes"
MARK = "gateway_action"
"""The key of the metadata that says which action has made a refund or a credit note."""

INVOICES, CUSTOMERS = table_for(Invoice), table_for(Customer)
MAX_MEMO = 500
_ID = re.compile(r"in_[A-Za-z0-9_]{1,250}")


@dataclass(frozen=True, slots=True)
class MoneyBack:
    """What is to go back.

    Attributes:
        invoice_id: of which invoice.
        amount: in minor units; None for all that is left.
        reason: one of Stripe's.
        memo: on the credit note, for the customer.
    """

    invoice_id: str
    amount: int | None = None
    reason: str | None = None
    memo: str | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment of an invoice.

    Attributes:
        intent: its payment intent.
        left: how much of it has not gone back, in minor units.
        order: the greatest goes back first.
    """

    intent: str
    left: int
    order: tuple[bool, int, str] = (True, 0, "")


def shared(amount: int, payments: Iterable[Payment]) -> Iterator[tuple[Payment, int]]:
    """Yield which payments go back, each with how much of it, until an amount is reached. Pure."""
    for payment in payments:
        share = min(amount, payment.left)
        if share > 0:
            yield payment, share
        amount -= share


class Refunds:
    """Gives money back, once for each idempotency key.

    Args:
        mirror: the copy of Stripe.
        stripe: does it.
        audit: keeps what was done.
    """

    def __init__(self, mirror: Mirror, stripe: Stripe, audit: AuditLog) -> None:
        self._mirror = mirror
        self._database = mirror.database
        self._stripe = stripe
        self._audit = audit

    async def refund(self, wanted: MoneyBack, action: Callable[..., Action]) -> Json:
        """Refund what has paid an invoice; the refund's id, amount, currency and status.

        Several payments go back one after the other, the newest first, a disputed one last: `refunds` has them all.

        Args:
            wanted: what is to go back.
            action: makes the action of its `name`, `input`, `external_id` and `target`.

        Raises:
            Rejected: it cannot be refunded so.
            NotFound: there is no such invoice.
            StripeUnavailable: Stripe cannot be reached; the same key may be tried again.
        """
        return await self._give_back("invoice.refund", wanted, action, self._refund)

    async def credit(self, wanted: MoneyBack, action: Callable[..., Action]) -> Json:
        """Credit an invoice; the credit note's id, number, amount and currency.

        Of a paid invoice the amount is credit for the customer's later invoices, of an open one less is to be paid.
        Arguments and errors are those of `refund`.
        """
        return await self._give_back("invoice.credit", wanted, action, self._credit)

    async def _give_back(
        self, name: str, wanted: MoneyBack, action: Callable[..., Action], work: Callable[..., Any]
    ) -> Json:
        check(_bad_amount(wanted), _long_memo(wanted))
        owner = await self._owner(wanted.invoice_id)
        given = {"amount": wanted.amount, "reason": wanted.reason, "memo": wanted.memo}
        done = action(name=name, input=given, external_id=owner, target=wanted.invoice_id)

        async def locked(attempt: Attempt) -> Json:
            async with user_lock(self._database, f"invoice:{wanted.invoice_id}"):
                result: Json = await work(wanted, attempt)
                return result

        return await self._audit.once(done, locked)

    async def _owner(self, invoice_id: str) -> str | None:
        """Return whose an invoice is, which is read from Stripe where the mirror does not have it yet.

        Raises:
            NotFound: there is no such invoice.
        """
        owner = (
            sa.select(CUSTOMERS.c.external_id)
            .select_from(INVOICES)
            .outerjoin(CUSTOMERS, CUSTOMERS.c.id == INVOICES.c.customer_id)
            .where(INVOICES.c.id == invoice_id)
        )
        if _ID.fullmatch(invoice_id) is None:
            raise NotFound("there is no such invoice")
        found = await self._database.read(lambda connection: connection.execute(owner).first())
        if found is None:
            try:
                await self._mirror.refresh(self._stripe, "invoice", invoice_id)
            except StripeMissing:
                raise NotFound("there is no such invoice") from None
            found = await self._database.read(lambda connection: connection.execute(owner).first())
        return found.external_id if found else None

    async def _refund(self, wanted: MoneyBack, attempt: Attempt) -> Json:
        invoice = await self._mirror.refresh(self._stripe, "invoice", wanted.invoice_id)
        made, payments = [], []
        paid_by = await self._payments(wanted.invoice_id)
        if not paid_by:
            message = "no payment at Stripe has paid this invoice"
            raise Rejected(Problem(ProblemCode.INVOICE_NOT_REFUNDABLE, message, "invoiceId"))
        for payment in paid_by:
            which = {"payment_intent": payment.intent}
            refund = await self._earlier(attempt, REFUNDS, **which) if attempt.again else None
            made.append(refund) if refund else payments.append(payment)
        within = sum(each.left for each in payments)
        rest = wanted if wanted.amount is None else replace(wanted, amount=wanted.amount - _sum(made))
        if not made or (within and rest.amount != 0):
            amount = await self._amount(rest, _paid(invoice), within=within)
            for payment, share in shared(amount, payments):
                made.append(await self._part(wanted, attempt, payment, share, made))
        for charge in {each["charge"] for each in made if each["charge"]}:
            await self._mirror.refresh(self._stripe, "charge", charge)
        refunds = [{name: each[name] for name in ("id", "amount", "currency", "status")} for each in made]
        return refunds[0] | ({"refunds": refunds} if len(refunds) > 1 else {})

    async def _part(
        self, wanted: MoneyBack, attempt: Attempt, payment: "Payment", share: int, made: list[Json]
    ) -> Json:
        """Refund a part of what is wanted from one payment.

        Raises:
            Rejected: Stripe refuses it, after what was `made` already.
        """
        which = payment.intent
        try:
            return await self._do(REFUNDS, attempt, which, amount=share, reason=wanted.reason, payment_intent=which)
        except Rejected as refused_part:
            gone = _sum(made)
            if not gone:
                raise
            message = f"{gone} minor units went back by other payments; of this one: {refused_part}"
            raise Rejected(Problem(ProblemCode.INVOICE_NOT_REFUNDABLE, message, "invoiceId")) from refused_part

    async def _credit(self, wanted: MoneyBack, attempt: Attempt) -> Json:
        invoice = await self._mirror.refresh(self._stripe, "invoice", wanted.invoice_id)
        which = {"invoice": wanted.invoice_id}
        note = await self._earlier(attempt, CREDIT_NOTES, **which) if attempt.again else None
        if note is None:
            paid = invoice["status"] == "paid"
            if paid and invoice["amount_paid"]:
                await self._payments(
                    wanted.invoice_id
                )  # what went back of them counts; what was paid elsewhere has none
            most = _paid(invoice) + _from_balance(invoice) if paid else invoice["amount_remaining"]
            amount = await self._amount(wanted, most, paid=paid)
            details = {"reason": wanted.reason, "memo": wanted.memo, "credit_amount": amount if paid else None}
            note = await self._do(CREDIT_NOTES, attempt, amount=amount, **which, **details)
        await self._mirror.refresh(self._stripe, "credit_note", note["id"])
        await self._mirror.refresh(self._stripe, "invoice", wanted.invoice_id)
        return {name: note[name] for name in ("id", "number", "amount", "currency")}

    async def _payments(self, invoice_id: str) -> list["Payment"]:
        """Return the payments at Stripe that have paid an invoice, in the order in which they go back.

        Their charges are brought up to date. What was paid outside of Stripe has none.
        """
        answer = await self._stripe.get("/v1/invoice_payments", invoice=invoice_id, status="paid", limit=100)
        listed = [each for each in answer.object["data"] if each["payment"].get("payment_intent")]
        await self._mirror.store_page(answer, answer.object["data"])
        found = []
        for each in listed:
            intent = each["payment"]["payment_intent"]
            answer = await self._stripe.get(f"/v1/payment_intents/{intent}", expand=["latest_charge"])
            if charge := answer.object["latest_charge"]:
                await self._mirror.store_answer(self._stripe, replace(answer, object=charge))
                left = min(each["amount_paid"], charge["amount"] - charge["amount_refunded"])
                found.append(Payment(intent, left, (not charge["disputed"], charge["created"], intent)))
        return sorted(found, key=lambda each: each.order, reverse=True)

    async def _amount(self, wanted: MoneyBack, most: int, *, paid: bool = True, within: int | None = None) -> int:
        """Return how much goes back.

        Args:
            wanted: what is to go back.
            most: of the invoice.
            paid: whether what went back before counts.
            within: what is left of the payments, if it is these that go back.

        Raises:
            Rejected: there is not so much left.
        """
        gone = sa.select(returns.of_invoice(INVOICES.c.id)).where(INVOICES.c.id == wanted.invoice_id)
        returned: int = 0
        if paid:
            returned = await self._database.read(lambda connection: connection.execute(gone).scalar_one())
        left = most - returned if within is None else min(most - returned, within)
        amount = left if wanted.amount is None else wanted.amount
        if not 1 <= amount <= left:
            message = f"the amount is more than is left: {max(left, 0)} minor units of this invoice can still go back"
            raise Rejected(Problem(ProblemCode.AMOUNT_INVALID, message, "amount"))
        return amount

    async def _earlier(self, attempt: Attempt, path: str, **which: str) -> Json | None:
        """Return what an earlier try of the same action has made at Stripe, which keeps keys for a day only."""
        answer = await self._stripe.get(path, limit=100, **which)
        found = (each for each in answer.object["data"] if each["metadata"].get(MARK) == attempt.reference)
        made: Json | None = next(found, None)
        return made

    async def _do(self, path: str, attempt: Attempt, part: str = "", /, **parameters: Any) -> Json:
        """Have Stripe do it, marked as this action's; one of several parts has a name.

        Raises:
            Rejected: Stripe refuses it.
        """
        given = {name: value for name, value in parameters.items() if value is not None}
        given["metadata"] = {MARK: attempt.reference}
        try:
            answer = await self._stripe.post(path, idempotency_key=f"action-{attempt.reference}{part}", **given)
        except StripeRefused as error:
            raise Rejected(refused(error)) from error
        return answer.object


def _sum(refunds: Iterable[Json]) -> int:
    return sum(int(each["amount"]) for each in refunds)


def _paid(invoice: Json) -> int:
    """Return how much of an invoice could go back: what was paid, and what was taken off before, which counts as gone.

    Args:
        invoice: as Stripe has it.
    """
    paid, taken_off = invoice["amount_paid"], invoice.get("pre_payment_credit_notes_amount") or 0
    return int(paid + taken_off)


def _from_balance(invoice: Json) -> int:
    """Return how much of an invoice its customer's balance has paid, which Stripe can credit again, but not refund.

    Source: Stripe, "Credit notes": "The sum of all credit notes cannot exceed the invoice's total amount"; `amount_due`
    has what a balance and credit notes took off.

    Args:
        invoice: as Stripe has it, paid.
    """
    taken_off = invoice.get("pre_payment_credit_notes_amount") or 0
    return max(0, int(invoice["total"] - invoice["amount_due"] - taken_off))


def _bad_amount(wanted: MoneyBack) -> Problem | None:
    if wanted.amount is None or wanted.amount >= 1:
        return None
    return Problem(ProblemCode.AMOUNT_INVALID, "the amount is below 1 minor unit: give at least 1 back", "amount")


def _long_memo(wanted: MoneyBack) -> Problem | None:
    if len(wanted.memo or "") <= MAX_MEMO:
        return None
    return Problem(ProblemCode.TEXT_TOO_LONG, f"the memo is too long: at most {MAX_MEMO} characters", "memo")
