"""For whom an operator acts: a user, or a customer at Stripe, which may be no user's."""

from dataclasses import dataclass
from typing import Final

from gateway.auth.principal import SERVICE, Principal
from gateway.db.rows import row_by_id
from gateway.errors import BadInput, NotFound
from gateway.graphql.base.context import Info
from gateway.graphql.types.audit import USER
from gateway.mirror.accounts import account_of
from gateway.models.mirrored import Customer

USER_OR: Final = USER + " Give this or `customerId`."
CUSTOMER: Final = "The customer at Stripe (cus_…), also one that is no user's."


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


async def whom(info: Info, external_id: str | None, customer_id: str | None) -> Whom:
    """Return for whom an operator acts.

    Args:
        info: of the mutation.
        external_id: a user, who need not be a customer yet.
        customer_id: or a customer of our own account.

    Raises:
        BadInput: neither or both are named, or no user can be called so.
        NotFound: there is no such customer.
    """
    if (external_id is None) is (customer_id is None):
        raise BadInput("name either the user, by `externalId`, or the customer at Stripe, by `customerId`")
    if external_id is not None:
        return Whom(SERVICE.acting_as(external_id), external_id)
    named = str(customer_id)
    row = await info.context.services.database.read(lambda connection: row_by_id(connection, Customer, named))
    if row is None or row.deleted or account_of(row.id)[0] is not None:
        raise NotFound("there is no such customer")
    return Whom(info.context.principal.acting_for(row.id), row.external_id, row.id)
