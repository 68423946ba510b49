"""Authorization around the whole schema: who may call, which ids may be named, whose objects are shown.

It is put around the fields themselves when the schema is built, so that no resolver can forget it. A root field without
a line in `FIELD_ACCESS` stops the start. An id of something private must be the caller's before the resolver runs. An
object of a private type is shown to its owner alone, wherever it comes from; a connection is checked where it is given,
with everything in it. The rules of ownership are in `billing/customers/ownership.py`.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from enum import Enum, auto
from inspect import isawaitable
from typing import Any, TypeVar, dataclass_transform

import strawberry
from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    default_field_resolver,
    get_named_type,
    is_abstract_type,
    is_list_type,
)

from gateway.auth.principal import Principal, Role
from gateway.billing.customers.ownership import Owner
from gateway.errors import Forbidden, NotFound, TokenExpired, Unauthenticated
from gateway.graphql.base.connection import Connection, Edge
from gateway.graphql.base.decorators import object_type
from gateway.graphql.base.mutation_limits import STRIPE_READS

Class = TypeVar("Class", bound=type)


class FieldAccess(Enum):
    """Who may call a root field.

    Attributes:
        PUBLIC: everybody, and all guests get the same answer, which may be kept and shared.
        ANYONE: everybody, and the answer depends on who asks.
        AUTHENTICATED: a user, or the application's own back end.
        USER: a signed-in user.
        SERVICE: the application's own back end.
        OPERATOR: who runs the gateway.
        OPERATOR_ACT: an operator who may change something.
    """

    PUBLIC = auto()
    ANYONE = auto()
    AUTHENTICATED = auto()
    USER = auto()
    SERVICE = auto()
    OPERATOR = auto()
    OPERATOR_ACT = auto()


FIELD_ACCESS: dict[str, FieldAccess] = {
    # The shop window.
    "Query.pricing": FieldAccess.PUBLIC,
    "Query.plans": FieldAccess.PUBLIC,
    "Query.plan": FieldAccess.PUBLIC,
    "Query.products": FieldAccess.PUBLIC,
    "Query.product": FieldAccess.PUBLIC,
    # Guests buy too, and come back to see how it went.
    "Query.session": FieldAccess.ANYONE,
    "Mutation.createCheckoutSession": FieldAccess.ANYONE,
    "Mutation.expireCheckoutSession": FieldAccess.ANYONE,
    # A user's own, or any for the back end.
    "Mutation.createPortalSession": FieldAccess.AUTHENTICATED,
    "Mutation.changeSubscription": FieldAccess.AUTHENTICATED,
    "Mutation.cancelPendingChange": FieldAccess.AUTHENTICATED,
    "Mutation.cancelSubscription": FieldAccess.AUTHENTICATED,
    "Mutation.pauseSubscription": FieldAccess.AUTHENTICATED,
    "Mutation.resumeSubscription": FieldAccess.AUTHENTICATED,
    "Mutation.startSubscription": FieldAccess.AUTHENTICATED,
    "Mutation.applyPromotionCode": FieldAccess.AUTHENTICATED,
    "Mutation.acceptRetentionOffer": FieldAccess.AUTHENTICATED,
    # One's own account; a page asks for it before it knows whether anybody is signed in.
    "Query.viewer": FieldAccess.ANYONE,
    # Whatever has an id: what is sold is everybody's, the rest its owner's.
    "Query.node": FieldAccess.ANYONE,
    # Anybody's account.
    "Query.customer": FieldAccess.SERVICE,
    "Query.customers": FieldAccess.SERVICE,
    "Query.auditLog": FieldAccess.SERVICE,
    "Mutation.updateCustomer": FieldAccess.SERVICE,
    "Mutation.linkCustomer": FieldAccess.SERVICE,
    "Mutation.grantCredits": FieldAccess.SERVICE,
    "Mutation.refundInvoice": FieldAccess.SERVICE,
    "Mutation.creditInvoice": FieldAccess.SERVICE,
    "Mutation.spendCredits": FieldAccess.SERVICE,
    "Mutation.reportUsage": FieldAccess.SERVICE,
    "Mutation.adjustUsage": FieldAccess.SERVICE,
    "Mutation.consume": FieldAccess.SERVICE,
    "Mutation.hold": FieldAccess.SERVICE,
    "Mutation.commitHold": FieldAccess.SERVICE,
    "Mutation.releaseHold": FieldAccess.SERVICE,
    "Mutation.setUsageControls": FieldAccess.SERVICE,
    "Mutation.offerRetentionCoupon": FieldAccess.SERVICE,
    # Everything, for who runs the gateway.
    "Query.operator": FieldAccess.OPERATOR,
    "Mutation.operatorRetryEvents": FieldAccess.OPERATOR_ACT,
    "Mutation.operatorReplayEvents": FieldAccess.OPERATOR_ACT,
    "Mutation.operatorRetryMessages": FieldAccess.OPERATOR_ACT,
    "Mutation.operatorRetryUsage": FieldAccess.OPERATOR_ACT,
    "Mutation.operatorLinkCustomer": FieldAccess.OPERATOR_ACT,
    "Mutation.operatorUnlinkCustomer": FieldAccess.OPERATOR_ACT,
    "Mutation.operatorGrantCredits": FieldAccess.OPERATOR_ACT,
    "Mutation.operatorRefundInvoice": FieldAccess.OPERATOR_ACT,
    "Mutation.operatorCancelSubscription": FieldAccess.OPERATOR_ACT,
    "Mutation.operatorPauseSubscription": FieldAccess.OPERATOR_ACT,
    "Mutation.operatorResumeSubscription": FieldAccess.OPERATOR_ACT,
    # The same, live.
    "Subscription.sessionUpdated": FieldAccess.ANYONE,
    "Subscription.viewerUpdated": FieldAccess.USER,
}
"""Every field of Query, Mutation and Subscription, and who may call it."""

FEDERATION_ACCESS: dict[str, FieldAccess] = {
    "Query._service": FieldAccess.PUBLIC,
    "Query._entities": FieldAccess.ANYONE,  # and each of them is its owner's
}
"""The same for what `federation.py` adds."""

_OPERATORS = frozenset({FieldAccess.OPERATOR, FieldAccess.OPERATOR_ACT})


@dataclass_transform(kw_only_default=True, field_specifiers=(strawberry.field,))
def private(cls: Class) -> Class:
    """Declare an object type that belongs to somebody, described by its docstring. It says to whom in `owner`.

    Raises:
        TypeError: it has no `owner: strawberry.Private[Owner]`.
    """
    if "owner" not in cls.__annotations__:
        raise TypeError(f"{cls.__name__} is private, so it needs `owner: strawberry.Private[Owner]`")
    cls.__is_private__ = True  # type: ignore[attr-defined]  # a mark for `is_private`
    return object_type(cls)


def is_private(kind: Any) -> bool:
    """Return whether a GraphQL type is declared as `private`."""
    return bool(getattr(_origin(kind), "__is_private__", False))


def _is_page(kind: Any) -> bool:
    """Return whether a GraphQL type is a connection, or an edge of one."""
    return isinstance(kind, GraphQLObjectType) and issubclass(_origin(kind), Connection | Edge)


def _origin(kind: Any) -> Any:
    """Return the class behind a GraphQL type."""
    return getattr(getattr(kind, "extensions", {}).get("strawberry-definition"), "origin", object)


def enforce(core: GraphQLSchema, field_access: Mapping[str, FieldAccess] = FIELD_ACCESS) -> None:
    """Put authorization around every field that needs it.

    Args:
        core: the schema, which is changed.
        field_access: who may call each root field.

    Raises:
        TypeError: a root field has no line in `field_access`, or a line no field.
    """
    roots = [root for root in (core.query_type, core.mutation_type, core.subscription_type) if root]
    named = {f"{root.name}.{name}" for root in roots for name in root.fields}
    if astray := named ^ set(field_access):
        names = ", ".join(sorted(astray))
        raise TypeError(
            f"nothing says who may call {names}: say it in FIELD_ACCESS of base/authorization.py, or remove it"
        )
    for kind in core.type_map.values():
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__") and not _is_page(kind):
            for name, field in kind.fields.items():
                access = field_access[f"{kind.name}.{name}"] if kind in roots else None
                is_mutation = kind is core.mutation_type
                is_counted = is_mutation or f"{kind.name}.{name}" in STRIPE_READS
                _enforce_field(field, access, silent=not is_mutation, ask_stripe=is_counted)


def _enforce_field(field: GraphQLField, access: FieldAccess | None, *, silent: bool, ask_stripe: bool) -> None:
    """Wrap one field, if anything is to be checked. A nullable field is silent: it answers null for NOT_FOUND.

    Args:
        field: which is changed.
        access: who may call a root field; None for the field of an object.
        silent: whether the field may be silent.
        ask_stripe: whether it is counted as one that calls Stripe.
    """
    silent = silent and not isinstance(field.type, GraphQLNonNull)
    takes_ids = any(_has_id(argument.type, set()) for argument in field.args.values())
    named = get_named_type(field.type)
    if is_private(named) or _is_page(named) or is_abstract_type(named):
        field.resolve = _enforce_answer(field.resolve or default_field_resolver, silent=silent)
    if takes_ids or access not in (None, FieldAccess.PUBLIC):
        field.resolve = _enforce_call(
            field, field.resolve or default_field_resolver, access, silent=silent, ask_stripe=ask_stripe
        )


def _enforce_call(
    field: GraphQLField, inner: Callable[..., Any], access: FieldAccess | None, *, silent: bool, ask_stripe: bool
) -> Callable[..., Any]:
    """Return a resolver that checks the caller and the ids before `inner` runs."""
    kinds = {name: argument.type for name, argument in field.args.items()}

    async def resolve(source: Any, info: Any, **arguments: Any) -> Any:
        if access is not None:
            check_access(access, info.context.principal, info.context.sign_in_error)
        for name, value in arguments.items():
            for named in _ids(kinds.get(name), value):
                if not await info.context.ownership.may_name(named, ask_stripe=ask_stripe):
                    return _missing(silent=silent)
        answer = inner(source, info, **arguments)
        return await answer if isawaitable(answer) else answer

    return resolve


def check_access(access: FieldAccess, principal: Principal, sign_in_error: TokenExpired | None = None) -> None:
    """Refuse those who may not call.

    Args:
        access: who may.
        principal: the caller.
        sign_in_error: the caller's token has expired: only what is public is answered then, because who meant to be a
            user must not buy, or find an account empty, as a guest.

    Raises:
        Unauthenticated: nobody is signed in, or the token has expired.
        Forbidden: it is for others.
    """
    if access is FieldAccess.PUBLIC:
        return
    if sign_in_error is not None:
        raise sign_in_error
    if access in _OPERATORS or principal.operator:
        _check_operator(access, principal)
        return
    nobody = principal.subject is None and not principal.is_service
    if access is not FieldAccess.ANYONE and nobody:
        raise Unauthenticated("sign in first: this needs a bearer token")
    if access is FieldAccess.USER and principal.subject is None:
        raise Forbidden("this is for signed-in users; a service token is nobody in particular")
    if access is FieldAccess.SERVICE and not principal.is_service:
        raise Forbidden("this is for the application's own back end")


def _check_operator(access: FieldAccess, principal: Principal) -> None:
    """Let operators into their own fields, and into no others: an operator is nobody's user.

    Raises:
        Unauthenticated: nobody is signed in.
        Forbidden: it is for others.
    """
    operator = principal.operator
    if operator is None:
        if principal.subject is None and not principal.is_service:
            raise Unauthenticated("sign in first: this needs a bearer token")
        raise Forbidden("this is for operators")
    if access not in _OPERATORS:
        raise Forbidden("an operator's token is for `operator` and the mutations that begin so")
    if access is FieldAccess.OPERATOR_ACT and operator.role is not Role.ACT:
        raise Forbidden("this operator may look at everything and change nothing")


def _enforce_answer(inner: Callable[..., Any], *, silent: bool) -> Callable[..., Any]:
    """Return a resolver that checks whose objects `inner` answers; synchronous unless an owner must be looked up."""

    def resolve(source: Any, info: Any, **arguments: Any) -> Any:
        answer = inner(source, info, **arguments)
        return later(answer, info) if isawaitable(answer) else checked(answer, info)

    async def later(answer: Awaitable[Any], info: Any) -> Any:
        result = checked(await answer, info)
        return await result if isawaitable(result) else result

    def checked(answer: Any, info: Any) -> Any:
        sees = info.context.ownership.surely_sees
        unclear = [owner for owner in _owners(answer) if not sees(owner)]
        return looked_up(answer, unclear, info) if unclear else answer

    async def looked_up(answer: Any, owners: Iterable[Owner], info: Any) -> Any:
        for owner in owners:
            if not await info.context.ownership.may_see(owner):
                return _missing(silent=silent)
        return answer

    return resolve


def _owners(answer: Any) -> Iterator[Owner]:
    """Yield the owners of the objects in an answer."""
    for one in answer if isinstance(answer, list | tuple) else (answer,):
        if isinstance(one, Connection):
            yield from _owners(one.nodes)
        elif isinstance(one, Edge):
            yield from _owners(one.node)
        elif getattr(type(one), "__is_private__", False):
            yield one.owner


def _missing(*, silent: bool) -> None:
    """Answer for what is missing and for what is another's: nobody can tell them apart.

    Raises:
        NotFound: unless it is silent.
    """
    if not silent:
        raise NotFound("there is no such object")


def _has_id(kind: Any, seen: set[str]) -> bool:
    """Return whether an input type holds an `ID` anywhere."""
    named = get_named_type(kind)
    if not isinstance(named, GraphQLInputObjectType) or named.name in seen:
        return bool(named.name == "ID")
    seen.add(named.name)
    return any(_has_id(field.type, seen) for field in named.fields.values())


def _ids(kind: Any, value: Any) -> Iterator[str]:
    """Yield every value of type `ID` within an argument."""
    if isinstance(kind, GraphQLNonNull):
        kind = kind.of_type
    if value is None or kind is None:
        return
    if is_list_type(kind):
        for each in value if isinstance(value, list) else [value]:
            yield from _ids(kind.of_type, each)
    elif isinstance(kind, GraphQLInputObjectType):
        for name, field in kind.fields.items():
            yield from _ids(field.type, value.get(field.out_name or name))
    elif kind.name == "ID":
        yield str(value)
