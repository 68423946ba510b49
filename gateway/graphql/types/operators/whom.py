"""For whom an operator acts: a user, or a customer at Stripe, which may be no user's."""

from dataclasses import dataclass
from typing import Final

import strawberry

from gateway.auth.principal import SERVICE, Principal
from gateway.db.rows import row_by_id
from gateway.errors import BadInput, NotFound
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import input_type, one_of_type
from gateway.graphql.types.audit import USER
from gateway.mirror.accounts import account_of
from gateway.models.mirrored import Customer

CUSTOMER: Final = "The customer at Stripe (cus_…), also one that is no user's."
SHORT: Final = "Until 2027-12-01: `whom` takes exactly one of `externalId` and `customerId`."
_UNNAMED: Final = (None, strawberry.UNSET)


@one_of_type
class CustomerRefInput:
    """A customer, by exactly one of its names."""

    external_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description=USER)
    customer_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description=CUSTOMER)


@input_type
class ForCustomer:
    """What the inputs have in common that are about one customer."""

    whom: CustomerRefInput | None = strawberry.field(default=None, description="The customer.")
    external_id: strawberry.ID | None = strawberry.field(default=None, description=USER, deprecation_reason=SHORT)
    customer_id: strawberry.ID | None = strawberry.field(default=None, description=CUSTOMER, deprecation_reason=SHORT)

    def names(self) -> tuple[str | None, str | None]:
        """Return the user and the customer at Stripe that are named, one of them None.

        Raises:
            BadInput: neither or both are named.
        """
        places = (self, self.whom) if self.whom else (self,)
        users = [str(each.external_id) for each in places if each.external_id not in _UNNAMED]
        customers = [str(each.customer_id) for each in places if each.customer_id not in _UNNAMED]
        if len(users + customers) != 1:
            raise BadInput(
                "nobody is named, or two: name the customer once, `whom: {externalId: …}` or `whom: {customerId: …}`"
            )
        return next(iter(users), None), next(iter(customers), None)


@dataclass(frozen=True, slots=True)
class Whom:
    """Somebody for whom an operator acts.

    Attributes:
        principal: as the use cases know them.
        external_id: the user; None where the customer is no user's.
        customer_id: the customer, where it was named by Stripe's id.
    """

    principal: Principal
    external_id: str | None
    customer_id: str | None = None


async def whom(info: Info, input: ForCustomer) -> Whom:
    """Return for whom an operator acts.

    Args:
        info: of the mutation.
        input: names a user, who need not be a customer yet, or a customer of our own account.

    Raises:
        BadInput: neither or both are named, or no user can be called so.
        NotFound: there is no such customer.
    """
    user, named = input.names()
    if user is not None:
        return Whom(SERVICE.acting_as(user), user)
    row = await info.context.services.database.read(lambda connection: row_by_id(connection, Customer, named or ""))
    if row is None or row.deleted or account_of(row.id)[0] is not None:
        raise NotFound("there is no such customer")
    return Whom(info.context.principal.acting_for(row.id), row.external_id, row.id)
