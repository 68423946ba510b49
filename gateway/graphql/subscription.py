"""The root of all live updates.

A live update is a query that is run again whenever one of its topics is published (`transport/subscriptions.py`). A
resolver here is like any other, with the same authorization; it follows the topic of what it reads before it reads it,
so that no change falls between the two. Only the first reading calls Stripe.
"""

from gateway.billing.customers.account import AccountSelection
from gateway.errors import NotFound
from gateway.graphql.base.arguments import Id
from gateway.graphql.base.context import LiveInfo, account_of
from gateway.graphql.base.decorators import object_type, resolver
from gateway.graphql.base.lookahead import selection_of
from gateway.graphql.types.checkout import CheckoutSession
from gateway.graphql.types.customers import Viewer


@object_type
class Subscription:
    """What can be followed live: the first message is the present state, every later one a state that differs."""

    @resolver
    async def session_updated(self, info: LiveInfo, id: Id) -> CheckoutSession:
        """A checkout, and the subscription that it starts. NOT_FOUND when there is none, or it is not the caller's."""
        context, changed = info.context, info.context.changed
        changed.add(f"session:{id}")
        checkout = context.services.checkout
        # The first time as it is at Stripe, for a buyer who is back before the webhook; that write is notified too.
        row = await (checkout.known(id) if changed.heard else checkout.session(id))
        if row is None:
            raise NotFound("there is no such object")
        if row.customer_id is not None:
            changed.add(f"customer:{row.customer_id}")
        return CheckoutSession.of(row, context.principal)

    @resolver
    async def viewer_updated(self, info: LiveInfo) -> Viewer:
        """The signed-in user's own account, also before the first purchase."""
        context, changed = info.context, info.context.changed
        subject = str(context.principal.subject)  # only users may call this field
        its = selection_of(info, subject)
        new = changed.add(f"user:{subject}")
        selection = AccountSelection(subject) if new else its
        account, snapshot = await account_of(context, context.principal, selection)
        if account.customer is not None:
            new |= changed.add(f"customer:{account.customer.id}", f"credits:{account.customer.id}")
        if new:
            account, snapshot = await account_of(context, context.principal, its)  # it was read before it was followed
        if account.customer is not None:
            context.ownership.recognise(account.customer)
        return Viewer.of(context.principal, account, snapshot)
