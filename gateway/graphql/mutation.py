"""The mutations. What the caller can fix comes back as `userErrors`; everything else is a GraphQL error."""

from gateway.graphql.base.decorators import object_type
from gateway.graphql.types.checkout import CheckoutMutations
from gateway.graphql.types.counting import CountingMutations
from gateway.graphql.types.credits import CreditMutations
from gateway.graphql.types.directory import DirectoryMutations
from gateway.graphql.types.free import FreeMutations
from gateway.graphql.types.metering import UsageMutations
from gateway.graphql.types.operators.actions import OperatorMutations
from gateway.graphql.types.operators.endings import OperatorEndingMutations
from gateway.graphql.types.portal import PortalMutations
from gateway.graphql.types.promotions import PromotionMutations
from gateway.graphql.types.refunds import RefundMutations
from gateway.graphql.types.subscription_changes import ChangeMutations


@object_type
class Mutation(
    ChangeMutations,
    PortalMutations,
    CreditMutations,
    UsageMutations,
    CountingMutations,
    CheckoutMutations,
    DirectoryMutations,
    RefundMutations,
    PromotionMutations,
    FreeMutations,
    OperatorMutations,
    OperatorEndingMutations,
):
    """The mutations."""
