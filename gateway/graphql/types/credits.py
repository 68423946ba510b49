"""Credits: the balance, the ledger, and spending."""

from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry

from gateway.billing.credits import service as rules
from gateway.billing.credits.gifts import Gift, check_gift, give, is_gift
from gateway.billing.credits.kinds import bad_kind, split, with_kind
from gateway.billing.credits.spending import Spend
from gateway.billing.customers.ownership import Owner
from gateway.billing.pagination import PageRequest
from gateway.billing.user_errors import Rejected
from gateway.errors import BadInput
from gateway.graphql.base.arguments import After, First
from gateway.graphql.base.authorization import private
from gateway.graphql.base.connection import Connection
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import enum_type, input_type, mutation, object_type, resolver
from gateway.graphql.base.metadata import MetadataEntryInput
from gateway.graphql.base.scalars import BigInt
from gateway.graphql.base.user_errors import Payload, UserError
from gateway.graphql.types.audit import ACTOR, KEY, USER, action_of
from gateway.graphql.types.catalog import MetadataEntry
from gateway.models.credits import CreditEntry as Row

KIND = "Of which kind: `ai` of `credits_ai` in a product's metadata. Left out, the credits without a name."
Kind = Annotated[str | None, strawberry.argument(description=KIND)]


@enum_type
class CreditEntryKind(Enum):
    """Why the balance changed."""

    GRANT = strawberry.enum_value("grant", description="Something was paid, or the seller gave them.")
    REVOKE = strawberry.enum_value("revoke", description="A payment, or a part of it, went back to the buyer.")
    RESTORE = strawberry.enum_value(
        "restore", description="A revocation was undone: a refund failed, or a dispute was won."
    )
    SPEND = strawberry.enum_value("spend", description="Credits were used.")
    EXPIRE = strawberry.enum_value("expire", description="Credits expired; above zero when that was undone.")


@private
class CreditEntry:
    """One line of the ledger, which is never changed."""

    owner: strawberry.Private[Owner]
    id: strawberry.ID = strawberry.field(description="Its number.")
    kind: CreditEntryKind = strawberry.field(description="Why the balance changed.")
    credit_kind: str | None = strawberry.field(description="Of which kind the credits are; null without a name.")
    amount: BigInt = strawberry.field(description="How many credits came; below zero when they went.")
    balance: BigInt = strawberry.field(description="The balance after it.")
    reason: str | None = strawberry.field(description="What they were spent or given for, in the application's words.")
    metadata: list[MetadataEntry] = strawberry.field(description="What the application stored with a spend.")
    purchase_id: strawberry.ID | None = strawberry.field(
        description="The invoice (in_…) or checkout (cs_…) that brought them; null for a spend and what was given."
    )
    created_at: datetime = strawberry.field(description="When it was written.")

    @classmethod
    def of(cls, row: Row) -> "CreditEntry":
        """Make an entry from its row."""
        customer_id, kind = split(row.customer_id)
        brought_by = split(row.purchase_id)[0] if row.purchase_id and not is_gift(row.purchase_id) else None
        return cls(
            owner=Owner(customer_id=customer_id),
            id=strawberry.ID(str(row.id)),
            kind=CreditEntryKind(row.kind),
            credit_kind=kind or None,
            amount=BigInt(row.amount),
            balance=BigInt(row.balance),
            reason=row.reason,
            metadata=[MetadataEntry(key=key, value=value) for key, value in row.meta.items()],
            purchase_id=strawberry.ID(brought_by) if brought_by else None,
            created_at=row.created,
        )


@object_type
class CreditAccount:
    """The credits of a customer, of one kind."""

    id: strawberry.Private[str]

    @classmethod
    def of(cls, customer_id: str, kind: str | None) -> "CreditAccount":
        """Make the account of a customer's credits of a kind.

        Raises:
            BadInput: there can be no such kind.
        """
        if problem := bad_kind(kind or ""):
            raise BadInput(f"`kind`: {problem.message}")
        return cls(id=with_kind(customer_id, kind or ""))

    @resolver
    def kind(self) -> str | None:
        """The kind, such as `ai`; null for the credits without a name."""
        return split(self.id)[1] or None

    @resolver
    async def balance(self, info: Info) -> BigInt:
        """The balance; below zero when a refund has taken back more than was left."""
        return BigInt(await info.context.loaders.credits.load(self.id))

    @resolver
    async def entries(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
    ) -> Connection[CreditEntry]:
        """The ledger, the newest entry first."""
        page = await info.context.loaders.credit_entries.load(PageRequest(self.id, first, after))
        return Connection.of(page, CreditEntry.of)


@input_type
class SpendCreditsInput:
    """The credits to spend, and whose."""

    external_id: strawberry.ID = strawberry.field(description="The id by which the application knows the customer.")
    amount: BigInt = strawberry.field(description="The number of credits, at least 1. All of them are spent or none.")
    kind: str | None = strawberry.field(default=None, description=KIND)
    idempotency_key: str = strawberry.field(
        description="1 to 255 characters. The same key with the same spend spends once and gives the same answer."
    )
    reason: str | None = strawberry.field(default=None, description="A text for people, up to 500 characters.")
    metadata: list[MetadataEntryInput] | None = strawberry.field(
        default=None, description="Up to 50 entries for programs, stored with the spend."
    )


@object_type
class SpendCreditsPayload(Payload):
    """The entry in the ledger, or what the caller must fix."""

    entry: CreditEntry | None = strawberry.field(default=None, description="The spend; null when there are errors.")
    credits: CreditAccount | None = strawberry.field(
        default=None, description="The account; null when the user has none."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )

    @classmethod
    def rejected(cls, rejected: Rejected, _info: Info, /) -> "SpendCreditsPayload":
        """Return what the caller must fix, and the account of the customer, if there is one."""
        account = CreditAccount(id=rejected.current) if rejected.current else None
        return cls(credits=account, user_errors=UserError.all_of(rejected.problems))


@input_type
class GrantCreditsInput:
    """The credits to give, and to whom."""

    external_id: strawberry.ID = strawberry.field(description=USER + " Who is none yet becomes one.")
    amount: BigInt = strawberry.field(description="The number of credits, 1 to 10^12.")
    kind: str | None = strawberry.field(default=None, description=KIND)
    reason: str = strawberry.field(description="Why, for people, up to 500 characters.")
    expires_at: datetime | None = strawberry.field(
        default=None, description="When those that are left run out; left out, never."
    )
    idempotency_key: str = strawberry.field(description=KEY)
    actor: str | None = strawberry.field(default=None, description=ACTOR)


@object_type
class GrantCreditsPayload(Payload):
    """The entry in the ledger, or what the caller must fix."""

    entry: CreditEntry | None = strawberry.field(default=None, description="The grant; null when there are errors.")
    credits: CreditAccount | None = strawberry.field(
        default=None, description="The account; null when there are errors."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )


@object_type
class CreditMutations:
    """What the application's back end does with credits."""

    @mutation
    async def grant_credits(
        self,
        info: Info,
        input: Annotated[GrantCreditsInput, strawberry.argument(description="The user, and the credits to give.")],
    ) -> GrantCreditsPayload:
        """Give credits to a user, which no refund takes back. For the application's own back end."""
        services, user = info.context.services, info.context.principal.acting_as(input.external_id)
        gift = Gift(input.amount, input.reason, input.expires_at, input.kind or "")
        made = action_of(info, key=input.idempotency_key, actor=input.actor)
        action = made(name="credits.grant", input=gift.input, external_id=user.subject)
        check_gift(gift, action)
        customer = await services.customers.customer_for(user)
        entry = await give(services.database, customer.id, gift, action)
        return GrantCreditsPayload(entry=CreditEntry.of(entry), credits=CreditAccount(id=entry.customer_id))

    @mutation
    async def spend_credits(
        self,
        info: Info,
        input: Annotated[SpendCreditsInput, strawberry.argument(description="The user, and the credits to spend.")],
    ) -> SpendCreditsPayload:
        """Spend credits, those that run out first before others. Never more than there are, whoever spends at once."""
        meta = {each.key: each.value for each in input.metadata or ()}
        wanted = Spend(input.external_id, input.amount, input.idempotency_key, input.reason, meta, input.kind or "")
        entry = await rules.spend(info.context.services.database, wanted)
        return SpendCreditsPayload(entry=CreditEntry.of(entry), credits=CreditAccount(id=entry.customer_id))
