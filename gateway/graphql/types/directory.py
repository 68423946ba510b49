"""All customers, for the application's back end: listed, changed, and given to users."""

from datetime import datetime
from typing import Annotated

import strawberry

from gateway.auth.principal import Principal
from gateway.billing.customers.directory import CustomerFilter, list_customers
from gateway.billing.customers.ownership import Owner
from gateway.graphql.base.arguments import After, First
from gateway.graphql.base.authorization import private
from gateway.graphql.base.connection import Connection
from gateway.graphql.base.context import Info, account_of
from gateway.graphql.base.decorators import input_type, mutation, object_type, resolver
from gateway.graphql.base.lookahead import selection_of
from gateway.graphql.base.scalars import Currency
from gateway.graphql.base.user_errors import Payload, UserError
from gateway.graphql.types.audit import ACTOR, KEY, USER, action_of
from gateway.graphql.types.customers import Customer
from gateway.graphql.types.subscriptions import SubscriptionStatus
from gateway.models import mirrored as models


@private
class ListedCustomer:
    """A customer at Stripe, also one that is no user's."""

    owner: strawberry.Private[Owner]
    id: strawberry.ID = strawberry.field(description="Stripe's id, such as cus_….")
    external_id: strawberry.ID | None = strawberry.field(
        description="The id by which the application knows the customer; null where it is no user's."
    )
    email: str | None = strawberry.field(description="The e-mail address to which Stripe writes.")
    name: str | None = strawberry.field(description="The name on the invoices.")
    currency: Currency | None = strawberry.field(description="The currency in which the customer is billed.")
    delinquent: bool = strawberry.field(description="Whether the latest charge of an invoice has failed.")
    created_at: datetime = strawberry.field(description="When the customer was created at Stripe.")

    @classmethod
    def of(cls, row: models.Customer) -> "ListedCustomer":
        """Make one from its row."""
        return cls(
            owner=Owner(customer_id=row.id),
            id=strawberry.ID(row.id),
            external_id=strawberry.ID(row.external_id) if row.external_id else None,
            email=row.email,
            name=row.name,
            currency=Currency(row.currency) if row.currency else None,
            delinquent=row.delinquent,
            created_at=row.created,
        )

    @resolver
    async def customer(self, info: Info) -> Customer | None:
        """The account, with everything in it; null where it is no user's."""
        if self.external_id is None:
            return None
        its = selection_of(info, self.external_id)
        return Customer.of(*await account_of(info.context, Principal(subject=self.external_id), its))


@input_type
class CustomersFilter:
    """Which customers are listed; what is left out is not looked at."""

    email: str | None = strawberry.field(default=None, description="With this e-mail address, in any case.")
    subscription_status: SubscriptionStatus | None = strawberry.field(
        default=None, description="With a subscription of this status."
    )
    linked: bool | None = strawberry.field(
        default=None, description="Those that are a user's, or those that are none's."
    )
    delinquent: bool | None = strawberry.field(
        default=None, description="Those of whom the latest charge of an invoice has failed, or the others."
    )

    def wanted(self, search: str | None = None) -> CustomerFilter:
        """Return the filter as the use case takes it."""
        status = str(self.subscription_status.value) if self.subscription_status else None
        return CustomerFilter(self.email, status, self.linked, self.delinquent, search)


@input_type
class UpdateCustomerInput:
    """The user, and what the customer is called and written to from now on."""

    external_id: strawberry.ID = strawberry.field(description=USER + " Who is none yet becomes one.")
    email: str | None = strawberry.field(default=None, description="The e-mail address; left out, it stays.")
    name: str | None = strawberry.field(
        default=None, description="The name on the invoices, up to 256 characters; empty for none; left out, it stays."
    )
    idempotency_key: str = strawberry.field(description=KEY)
    actor: str | None = strawberry.field(default=None, description=ACTOR)


@input_type
class LinkCustomerInput:
    """The user, and the customer at Stripe that is to be this user's."""

    external_id: strawberry.ID = strawberry.field(description=USER)
    customer_id: strawberry.ID = strawberry.field(description="The customer at Stripe (cus_…), which is nobody's yet.")
    idempotency_key: str = strawberry.field(description=KEY)
    actor: str | None = strawberry.field(default=None, description=ACTOR)


@object_type
class UpdateCustomerPayload(Payload):
    """The customer as it is at Stripe now."""

    customer: ListedCustomer | None = strawberry.field(
        default=None, description="The customer; null when there are errors."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )


@object_type
class LinkCustomerPayload(Payload):
    """The customer, which is the user's now."""

    customer: ListedCustomer | None = strawberry.field(
        default=None, description="The customer; null when there are errors."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )


@object_type
class DirectoryQueries:
    """What the application's back end reads of all customers."""

    @resolver
    async def customers(
        self,
        info: Info,
        first: First = 50,
        after: After = None,
        filter: Annotated[CustomersFilter | None, strawberry.argument(description="Which ones; left out, all.")] = None,
    ) -> Connection[ListedCustomer]:
        """All customers at Stripe, the newest first. For the application's own back end."""
        wanted = filter.wanted() if filter else CustomerFilter()
        page = await list_customers(info.context.services.database, wanted, first, after)
        return Connection.of(page, ListedCustomer.of)


@object_type
class DirectoryMutations:
    """What the application's back end does with customers."""

    @mutation
    async def update_customer(
        self,
        info: Info,
        input: Annotated[UpdateCustomerInput, strawberry.argument(description="The user, and what is to be changed.")],
    ) -> UpdateCustomerPayload:
        """Set the e-mail address and the name of a user's customer. For the application's own back end."""
        user = info.context.principal.acting_as(input.external_id)
        action = action_of(info, key=input.idempotency_key, actor=input.actor)
        customer = await info.context.services.desk.update(user, input.email, input.name, action)
        return UpdateCustomerPayload(customer=ListedCustomer.of(customer))

    @mutation
    async def link_customer(
        self,
        info: Info,
        input: Annotated[LinkCustomerInput, strawberry.argument(description="The user and the customer.")],
    ) -> LinkCustomerPayload:
        """Give a customer at Stripe, with its cards, to a user. For the application's own back end."""
        user = str(info.context.principal.acting_as(input.external_id).subject)
        action = action_of(info, key=input.idempotency_key, actor=input.actor)
        customer = await info.context.services.desk.link(user, input.customer_id, action)
        return LinkCustomerPayload(customer=ListedCustomer.of(customer))
