"""Which existing customer is a user's: by what a checkout of ours was told, or by the verified e-mail. From the mirror.

`metadata.external_id` is dealt with where customers are written (`owners.py`). Here count a `client_reference_id` of a
completed checkout that a server of our own account made (a payment link's is chosen by whoever opens the link: it
counts together with the verified e-mail, or where a setting trusts it), and the verified e-mail, compared without case.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import sqlalchemy as sa

from gateway.db.notifications import publish
from gateway.db.statements import execute
from gateway.db.tables import table_for
from gateway.errors import BadInput
from gateway.mirror.accounts import own
from gateway.mirror.mapping import email_key
from gateway.models.checkout import CustomerClaim
from gateway.models.credits import CreditEntry
from gateway.models.metering import UsageRecord
from gateway.models.mirrored import Charge, CheckoutSession, Customer, Invoice, Subscription
from gateway.models.statuses import OCCUPYING

CUSTOMERS, CLAIMS = table_for(Customer), table_for(CustomerClaim)
SESSIONS, SUBSCRIPTIONS = table_for(CheckoutSession), table_for(Subscription)
USES = (CLAIMS, SESSIONS, SUBSCRIPTIONS, *(table_for(each) for each in (Charge, Invoice, CreditEntry, UsageRecord)))
BATCH: Final = 100
_OWNER = sa.bindparam("owner", type_=sa.String)
_LATEST = sa.select(CLAIMS).where(CLAIMS.c.external_id == _OWNER).order_by(CLAIMS.c.generation.desc()).limit(1)
_NEW = sa.insert(CLAIMS).values({column.name: sa.bindparam(column.name, type_=column.type) for column in CLAIMS.c})
_LEAVE = sa.update(CUSTOMERS).where(CUSTOMERS.c.external_id == _OWNER).values(external_id=sa.null())
_OWN = (
    sa.update(CUSTOMERS)
    .where(CUSTOMERS.c.id == sa.bindparam("customer"))
    .values(external_id=_OWNER, payer_unverified=sa.bindparam("unverified", type_=sa.Boolean))
)


@dataclass(frozen=True, slots=True)
class Proof:
    """What a user can prove.

    Attributes:
        subject: the user's id.
        email: the verified address, where an e-mail proves anything.
        trust_payment_links: whether the `client_reference_id` of a payment link counts by itself.
    """

    subject: str
    email: str | None = None
    trust_payment_links: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A customer that belongs to nobody and may be the user's.

    Attributes:
        id: the customer's.
        by_reference: whether a checkout names the user; otherwise the e-mail is the same.
        is_live: whether it has a live subscription.
        payer_unverified: whether whoever paid had typed the e-mail address, and nobody has proved it.
    """

    id: str
    by_reference: bool
    is_live: bool
    payer_unverified: bool = False


class Ambiguous(Exception):
    """Several customers with live subscriptions may be the user's: a person must say which."""


class Decided(Exception):
    """What was being made for a user has become the user's, and may be in use."""


def choose(candidates: Sequence[Candidate]) -> str | None:
    """Return the customer that is the user's, if that is clear. Pure.

    Raises:
        Ambiguous: several have live subscriptions.
    """
    for some in ([each for each in candidates if each.by_reference], candidates):
        live = [each for each in some if each.is_live]
        if len(live) > 1:
            raise Ambiguous
        if live or len(some) == 1:
            return (live or some)[0].id
    return None


def candidates(connection: sa.Connection, proof: Proof) -> list[Candidate]:
    """Read the customers that belong to nobody and may be a user's, the newest first."""
    query = _candidates(by_email=bool(proof.email), trust_payment_links=proof.trust_payment_links)
    found = connection.execute(query, {"subject": proof.subject, "email": email_key(proof.email or "")})
    return [
        Candidate(row.id, bool(row.by_reference), bool(row.is_live), bool(row.payer_unverified))
        for row in found
        if row.meta.get("external_id", proof.subject) == proof.subject
    ]


@cache
def _candidates(*, by_email: bool, trust_payment_links: bool) -> sa.Select[Any]:
    """Return the query, which takes longer to make than to run."""
    email = sa.bindparam("email", type_=sa.String)
    mine: sa.ColumnElement[bool] = SESSIONS.c.payment_link.is_(None)
    if trust_payment_links:
        mine = sa.true()
    elif by_email:
        mine = mine | (sa.func.lower(SESSIONS.c.customer_email) == email)
    named = sa.select(SESSIONS.c.customer_id).where(
        SESSIONS.c.client_reference_id == sa.bindparam("subject", type_=sa.String),
        SESSIONS.c.status == "complete",
        mine,
    )
    by_reference = CUSTOMERS.c.id.in_(named)
    same_email = CUSTOMERS.c.email_lower == email if by_email else sa.false()
    live = sa.exists().where(SUBSCRIPTIONS.c.customer_id == CUSTOMERS.c.id, SUBSCRIPTIONS.c.status.in_(OCCUPYING))
    typed = SESSIONS.c.guest if trust_payment_links else SESSIONS.c.guest | SESSIONS.c.payment_link.is_not(None)
    anonymous = sa.exists().where(SESSIONS.c.customer_id == CUSTOMERS.c.id, SESSIONS.c.status == "complete", typed)
    claimed = sa.exists().where(CLAIMS.c.customer_id == CUSTOMERS.c.id)
    found = by_reference.label("by_reference"), live.label("is_live"), anonymous.label("payer_unverified")
    nobodys = CUSTOMERS.c.external_id.is_(None), CUSTOMERS.c.deleted.is_(False), ~claimed, own(CUSTOMERS.c.id)
    return (
        sa.select(CUSTOMERS.c.id, CUSTOMERS.c.meta, *found)
        .where(by_reference | same_email, *nobodys)
        .order_by(CUSTOMERS.c.created.desc(), CUSTOMERS.c.id.desc())
    )


def is_named(connection: sa.Connection, subject: str) -> bool:
    """Return whether a checkout names a user, whose customer its own may become."""
    query = sa.select(SESSIONS.c.id).where(SESSIONS.c.client_reference_id == subject).limit(1)
    return connection.execute(query).first() is not None


def has_had_one(connection: sa.Connection, subject: str) -> bool:
    """Return whether a user has ever had a customer: what comes after a deleted one is not guessed by e-mail."""
    query = sa.select(CLAIMS.c.customer_id).where(CLAIMS.c.external_id == subject, CLAIMS.c.customer_id.is_not(None))
    return connection.execute(query.limit(1)).first() is not None


def open_claim(connection: sa.Connection, subject: str, email: str | None, *, making: bool = False) -> CustomerClaim:
    """Return the claim to fulfil: one that was left unfinished, or a new one.

    Args:
        connection: the transaction.
        subject: the user's id.
        email: the user's address.
        making: whether Stripe is asked next to make a customer for it.
    """
    last = connection.execute(_LATEST, {"owner": subject}).mappings().first()
    if last is not None and last["customer_id"] is None:
        claim = CustomerClaim(**last)
        if making and not claim.making:
            connection.execute(sa.update(CLAIMS).where(_is(claim)).values(making=True))
        return claim
    generation = last["generation"] + 1 if last else 1
    claim = CustomerClaim(
        external_id=subject, generation=generation, email=email, making=making, created=datetime.now(UTC)
    )
    execute(connection, _NEW, claim.model_dump())
    return claim


def fulfil(
    connection: sa.Connection,
    *,
    claim: CustomerClaim,
    customer_id: str,
    made: bool = False,
    payer_unverified: bool = False,
) -> None:
    """Write down whose a customer is, unless the claim was fulfilled by another a moment ago.

    Args:
        connection: the transaction.
        claim: of the user.
        customer_id: the customer.
        made: whether it is the one that Stripe was asked to make for the claim; else that one is still to be deleted.
        payer_unverified: whether its cards are not the user's (`cards.py`).

    Raises:
        IntegrityError: it was given to another user a moment ago.
    """
    its: dict[str, Any] = {"owner": claim.external_id, "customer": customer_id}
    if not execute(connection, _fulfilment(made=made), {**its, "number": claim.generation}):
        return
    execute(connection, _LEAVE, {"owner": claim.external_id})
    execute(connection, _OWN, {**its, "unverified": payer_unverified})
    publish(connection, f"user:{claim.external_id}", f"customer:{customer_id}")


@cache
def _fulfilment(*, made: bool) -> Any:
    """UPDATE a claim that is open."""
    this = CLAIMS.c.external_id == _OWNER, CLAIMS.c.generation == sa.bindparam("number"), CLAIMS.c.customer_id.is_(None)
    values = {"customer_id": sa.bindparam("customer", type_=sa.String), **({"making": sa.false()} if made else {})}
    return sa.update(CLAIMS).where(*this).values(values).returning(CLAIMS.c.generation)


def give(
    connection: sa.Connection, *, external_id: str, customer_id: str, relink: bool, instead_of: str | None = None
) -> Customer:
    """Give a customer that is nobody's to a user, by what stands here and at Stripe in this moment.

    Args:
        connection: the transaction.
        external_id: the user.
        customer_id: the customer, just read from Stripe.
        relink: whether also one that was taken from a user before.
        instead_of: whom its metadata at Stripe may name.

    Returns:
        the customer as it was.

    Raises:
        BadInput: it is another user's, here or by its metadata at Stripe; or it was taken from a user before.
    """
    row = connection.execute(sa.select(CUSTOMERS).where(CUSTOMERS.c.id == customer_id).with_for_update()).mappings()
    if (found := row.first()) is None:
        raise BadInput(f"Stripe has no customer {customer_id}")
    customer = Customer(**found)
    if customer.external_id not in {None, external_id}:
        raise BadInput(f"customer {customer_id} is another user's, {customer.external_id}: unlink it there first")
    if customer.external_id is None:
        claimed = connection.execute(sa.select(CLAIMS.c.generation).where(CLAIMS.c.customer_id == customer_id)).first()
        if barred := bar(external_id, customer.meta, claimed=bool(claimed and not relink), instead_of=instead_of):
            raise BadInput(f"customer {customer_id} is not linked: {barred}")
    if customer.external_id is None or customer.payer_unverified:
        connection.execute(sa.update(CLAIMS).where(CLAIMS.c.customer_id == customer_id).values(customer_id=None))
        fulfil(connection, claim=open_claim(connection, external_id, customer.email), customer_id=customer_id)
    return customer


def bar(external_id: str, metadata: Mapping[str, Any], *, claimed: bool, instead_of: str | None = None) -> str | None:
    """Return why a customer that is nobody's is not given to a user; None where it may be. Pure.

    Args:
        external_id: the user.
        metadata: the customer's at Stripe. Whom they name may have it by a commit that was lost, or by the seller.
        claimed: whether it was a user's before, and that counts.
        instead_of: whom they may name, who has another customer here: an operator has said so.
    """
    named = metadata.get("external_id")
    if named and named not in {external_id, instead_of}:
        return (
            f"its metadata at Stripe name {named}; if that is wrong, an operator may link it `insteadOf` that user, or "
            "take external_id out"
        )
    return "it was taken from a user before; `gateway customers link` gives it all the same" if claimed else None


def release(connection: sa.Connection, *, external_id: str, customer_id: str) -> None:
    """Take a customer from a user. It stays claimed, so that nobody is given it by an e-mail address or a checkout."""
    its = CLAIMS.c.customer_id == customer_id
    if connection.execute(sa.select(CLAIMS.c.generation).where(its)).first() is None:
        claim = open_claim(connection, external_id, None)
        connection.execute(sa.update(CLAIMS).where(_is(claim)).values(customer_id=customer_id))
    theirs = CUSTOMERS.c.id == customer_id, CUSTOMERS.c.external_id == external_id
    connection.execute(sa.update(CUSTOMERS).where(*theirs).values(external_id=None))
    publish(connection, f"user:{external_id}", f"customer:{customer_id}")


def settle(connection: sa.Connection, claim: CustomerClaim) -> None:
    """Write down that nothing is left of the customer that was made for a claim.

    What is asked for the next time has a new key: under the old one Stripe would answer with what is deleted.
    """
    generation = sa.case((CLAIMS.c.customer_id.is_(None), _next(connection, claim)), else_=CLAIMS.c.generation)
    connection.execute(sa.update(CLAIMS).where(_is(claim)).values(making=False, generation=generation))


def renumber(connection: sa.Connection, claim: CustomerClaim) -> int:
    """Give an open claim the next number, under which Stripe has not been asked for anything; which."""
    number = _next(connection, claim)
    connection.execute(sa.update(CLAIMS).where(_is(claim), CLAIMS.c.customer_id.is_(None)).values(generation=number))
    return number


def is_gone(customer_id: str, connection: sa.Connection) -> bool:
    """Return whether a customer is known to be deleted."""
    return bool(connection.execute(sa.select(CUSTOMERS.c.deleted).where(CUSTOMERS.c.id == customer_id)).scalar())


def _next(connection: sa.Connection, claim: CustomerClaim) -> int:
    of_user = CLAIMS.c.external_id == claim.external_id
    latest: int = connection.execute(sa.select(sa.func.max(CLAIMS.c.generation)).where(of_user)).scalar_one()
    return latest + 1


def unsettled(connection: sa.Connection) -> list[CustomerClaim]:
    """Read the claims for which Stripe may have made a customer that nothing became of: the user has another one."""
    return [CustomerClaim(**row) for row in connection.execute(_unsettled()).mappings()]


@cache
def _unsettled() -> sa.Select[Any]:
    """Return the query, which takes longer to make than to run."""
    theirs = CUSTOMERS.c.external_id == CLAIMS.c.external_id, CUSTOMERS.c.deleted.is_(False)
    is_decided = CLAIMS.c.customer_id.is_not(None) | _used(CUSTOMERS.c.id)
    query = sa.select(CLAIMS).where(CLAIMS.c.making, sa.exists().where(*theirs, is_decided))
    return query.order_by(CLAIMS.c.created).limit(BATCH)


def is_being_made(connection: sa.Connection, subject: str) -> bool:
    """Return whether a process that made a user's first customer has ended before it said which one is the user's."""
    begun = sa.select(CLAIMS.c.making).where(
        CLAIMS.c.external_id == subject, CLAIMS.c.customer_id.is_(None), CLAIMS.c.making
    )
    return connection.execute(begun).first() is not None


def is_undecided(connection: sa.Connection, subject: str, customer_id: str) -> bool:
    """Return whether another customer may take the place of a user's: it is being made, and nothing was made of it."""
    return is_being_made(connection, subject) and is_unused(connection, customer_id)


def check_undecided(connection: sa.Connection, subject: str) -> None:
    """Check that a user whose claim was just read has no customer that stays; after that, the claim itself says so.

    Raises:
        Decided: there is one since a moment ago.
    """
    theirs = CUSTOMERS.c.external_id == subject, CUSTOMERS.c.deleted.is_(False)
    present = connection.execute(sa.select(CUSTOMERS.c.id).where(*theirs)).scalar()
    if present and not is_undecided(connection, subject, present):
        raise Decided


def is_unused(connection: sa.Connection, customer_id: str) -> bool:
    """Return whether nothing was made of a customer, and nobody was told that it is theirs."""
    return not connection.execute(sa.select(_used(sa.literal(customer_id)))).scalar()


def _used(customer_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    claims, *others = USES
    return sa.or_(*(sa.exists().where(table.c.customer_id == customer_id) for table in (claims.alias(), *others)))


def _is(claim: CustomerClaim) -> sa.ColumnElement[bool]:
    return (CLAIMS.c.external_id == claim.external_id) & (CLAIMS.c.generation == claim.generation)
