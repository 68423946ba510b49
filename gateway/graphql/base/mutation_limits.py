"""The rate limits of GraphQL's fields: every mutation, and every query that calls Stripe, counts by itself, so that six
aliases count as six, by HTTP and by WebSocket.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from inspect import isawaitable
from typing import Any, Final

from graphql import GraphQLObjectType, GraphQLSchema, default_field_resolver

from gateway.graphql.base.context import Context, LiveContext

CHECKOUT: Final = "createCheckoutSession"
STRIPE_READS: Final = {
    "Query.session": 1,
    "Subscription.sessionUpdated": 1,
    "Viewer.quoteChange": 3,
    "Customer.quoteChange": 3,
    "OperatorCustomer.quoteChange": 3,
    "Viewer.previewChange": 3,
    "Customer.previewChange": 3,
    "PendingChange.dueAtRenewal": 1,
    "BillingSubscription.dueAtRenewal": 1,
    "Health.checks": 3,
}
"""The fields beside mutations that may call Stripe, and how often each does. An id that is not in the mirror is looked
for in these fields and mutations alone. The links of old invoices are counted where they are read (`Context`).
"""

Count = Callable[[Context], Awaitable[None]]
"""Counts one use of a field, by the context of its request."""


def limit_mutations(core: GraphQLSchema) -> None:
    """Count every field that may call Stripe before anything else is done for it.

    Args:
        core: the schema, which is changed.
    """
    for name, field in core.mutation_type.fields.items() if core.mutation_type else ():
        count = _count_checkout if name == CHECKOUT else _count_mutation
        field.resolve = _counted(field.resolve or default_field_resolver, count)
    for path, calls in STRIPE_READS.items():
        type_name, _, name = path.partition(".")
        owner = core.type_map[type_name]
        assert isinstance(owner, GraphQLObjectType), path  # noqa: S101 - or the table above is wrong
        field = owner.fields[name]
        field.resolve = _counted(field.resolve or default_field_resolver, partial(_count_stripe_read, calls=calls))


def _counted(inner: Callable[..., Any], count: Count) -> Callable[..., Awaitable[Any]]:
    async def resolve(source: Any, info: Any, **arguments: Any) -> Any:
        await count(info.context)
        answer = inner(source, info, **arguments)
        return await answer if isawaitable(answer) else answer

    return resolve


async def _count_mutation(context: Context) -> None:
    await context.services.limiter.mutation(context.principal, context.address)


async def _count_checkout(context: Context) -> None:
    await context.services.limiter.checkout(context.principal, context.address)


async def _count_stripe_read(context: Context, *, calls: int) -> None:
    """Count a query; of a live update the first reading alone, because the others do not call Stripe."""
    if not isinstance(context, LiveContext) or not context.changed.heard:
        await context.count_stripe_read(calls)
