"""Money back for an invoice, by the application's back end."""

from enum import Enum
from typing import Annotated

import strawberry

from gateway.billing.audit import Json
from gateway.billing.refunds import MoneyBack
from gateway.db.rows import row_by_id
from gateway.graphql.base import scalars as money
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import enum_type, input_type, mutation, object_type
from gateway.graphql.base.scalars import MinorUnits, Money
from gateway.graphql.base.user_errors import Payload, UserError
from gateway.graphql.types.audit import ACTOR, KEY, action_of
from gateway.graphql.types.catalog_objects import catalog_objects_of
from gateway.graphql.types.invoices import Invoice
from gateway.models import mirrored as models

AMOUNT = "In minor units; left out, all that is left."


@enum_type
class RefundReason(Enum):
    """Why a payment goes back, in Stripe's words."""

    DUPLICATE = strawberry.enum_value("duplicate", description="It was paid twice.")
    FRAUDULENT = strawberry.enum_value("fraudulent", description="It was fraud; Stripe blocks the card.")
    REQUESTED_BY_CUSTOMER = strawberry.enum_value("requested_by_customer", description="The customer wants it.")


@enum_type
class CreditNoteReason(Enum):
    """Why an invoice is credited, in Stripe's words."""

    DUPLICATE = strawberry.enum_value("duplicate", description="It was billed twice.")
    FRAUDULENT = strawberry.enum_value("fraudulent", description="It was fraud.")
    ORDER_CHANGE = strawberry.enum_value("order_change", description="Something else was wanted.")
    PRODUCT_UNSATISFACTORY = strawberry.enum_value("product_unsatisfactory", description="It was not good enough.")


@object_type
class Refund:
    """A payment, or a part of it, that goes back to the buyer."""

    id: strawberry.ID = strawberry.field(description="Stripe's id, such as re_….")
    amount: Money = strawberry.field(description="How much.")
    status: str = strawberry.field(description="Stripe's status when it was made: succeeded, pending or failed.")

    @classmethod
    def of(cls, made: Json) -> "Refund":
        """Make a refund of what the use case tells of it."""
        return cls(id=strawberry.ID(made["id"]), amount=_amount(made), status=made["status"])


@object_type
class CreditNote:
    """What is taken off an invoice, or given as credit for later ones."""

    id: strawberry.ID = strawberry.field(description="Stripe's id, such as cn_….")
    number: str = strawberry.field(description="The number that is printed on it.")
    amount: Money = strawberry.field(description="How much.")


@input_type
class RefundInvoiceInput:
    """The invoice whose payment goes back, and how much of it."""

    invoice_id: strawberry.ID = strawberry.field(description="A paid invoice (in_…).")
    amount: MinorUnits | None = strawberry.field(default=None, description=AMOUNT)
    reason: RefundReason | None = strawberry.field(default=None, description="Why.")
    idempotency_key: str = strawberry.field(description=KEY)
    actor: str | None = strawberry.field(default=None, description=ACTOR)


@input_type
class CreditInvoiceInput:
    """The invoice that is credited, and how much of it."""

    invoice_id: strawberry.ID = strawberry.field(description="An invoice (in_…), paid or open.")
    amount: MinorUnits | None = strawberry.field(default=None, description=AMOUNT)
    reason: CreditNoteReason | None = strawberry.field(default=None, description="Why.")
    memo: str | None = strawberry.field(
        default=None, description="A text for the customer on the credit note, up to 500 characters."
    )
    idempotency_key: str = strawberry.field(description=KEY)
    actor: str | None = strawberry.field(default=None, description=ACTOR)


@object_type
class RefundInvoicePayload(Payload):
    """The refund, and the invoice; or what the caller must fix."""

    refund: Refund | None = strawberry.field(
        default=None, description="The refund, of several the first; null when there are errors."
    )
    refunds: list[Refund] = strawberry.field(
        default_factory=list, description="All refunds: one for each payment that has paid the invoice."
    )
    invoice: Invoice | None = strawberry.field(default=None, description="The invoice; null when there are errors.")
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )


@object_type
class CreditInvoicePayload(Payload):
    """The credit note, and the invoice; or what the caller must fix."""

    credit_note: CreditNote | None = strawberry.field(
        default=None, description="The credit note; null when there are errors."
    )
    invoice: Invoice | None = strawberry.field(default=None, description="The invoice; null when there are errors.")
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )


@object_type
class RefundMutations:
    """How the application's back end gives money back."""

    @mutation
    async def refund_invoice(
        self,
        info: Info,
        input: Annotated[RefundInvoiceInput, strawberry.argument(description="The invoice, and how much of it.")],
    ) -> RefundInvoicePayload:
        """Refund the payment of an invoice; credits and access go back with it. For the application's own back end."""
        reason = str(input.reason.value) if input.reason else None
        wanted = MoneyBack(input.invoice_id, input.amount, reason)
        action = action_of(info, key=input.idempotency_key, actor=input.actor)
        made = await info.context.services.refunds.refund(wanted, action)
        refunds = [Refund.of(each) for each in made.get("refunds", [made])]
        invoice = await _invoice(info, input.invoice_id)
        return RefundInvoicePayload(refund=refunds[0], refunds=refunds, invoice=invoice)

    @mutation
    async def credit_invoice(
        self,
        info: Info,
        input: Annotated[CreditInvoiceInput, strawberry.argument(description="The invoice, and how much of it.")],
    ) -> CreditInvoicePayload:
        """Credit an invoice: of a paid one for the customer's later invoices, of an open one less is to be paid.

        Credits that were granted go back with it. For the application's own back end.
        """
        reason = str(input.reason.value) if input.reason else None
        wanted = MoneyBack(input.invoice_id, input.amount, reason, input.memo)
        action = action_of(info, key=input.idempotency_key, actor=input.actor)
        made = await info.context.services.refunds.credit(wanted, action)
        note = CreditNote(id=made["id"], number=made["number"], amount=_amount(made))
        return CreditInvoicePayload(credit_note=note, invoice=await _invoice(info, input.invoice_id))


def _amount(made: Json) -> Money:
    return money.of(int(made["amount"]), str(made["currency"]))


async def _invoice(info: Info, id: str) -> Invoice | None:
    services = info.context.services
    row = await services.database.read(lambda connection: row_by_id(connection, models.Invoice, id))
    return Invoice.of(row, catalog_objects_of(await services.catalog.snapshot())) if row else None
