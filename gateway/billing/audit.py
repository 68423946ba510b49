"""The audit log: what the back end and operators do for users; who, when, what, and each once for an idempotency key.

An action is written down before it is done. Who asks again under its key gets the same answer, or a clear error where
something else is asked. What was begun and not finished (the process was killed, Stripe was away) stays pending, and is
gone on with when it is asked for again: `Attempt.reference` is the same then, so that Stripe does it once.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Any, Final
from uuid import uuid4

import orjson
import sqlalchemy as sa

from gateway.billing.pagination import Order, Page, newest
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.db.clock import now
from gateway.db.database import Database
from gateway.db.locks import user_lock
from gateway.db.tables import insert, table_for
from gateway.errors import DatabaseUnavailable, GatewayError, RateLimited, StripeUnavailable
from gateway.models.audit import AuditEntry
from gateway.models.mirrored import Invoice, Subscription
from gateway.retention.audited import forgotten

ENTRIES = table_for(AuditEntry)
ORDER = Order(ENTRIES.c.id, kind="audit")
OBJECTS: Final = table_for(Subscription), table_for(Invoice)
"""What actions are done to, beside customers."""
MAX_KEY, MAX_ACTOR = 255, 200
PENDING, DONE, REFUSED = "pending", "done", "refused"

RETRIED: Final = (StripeUnavailable, DatabaseUnavailable, RateLimited)
"""Failures after which nobody knows what was done: the action stays pending."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Action:
    """Something that is done for a user.

    Attributes:
        name: such as `invoice.refund`.
        by: the credential of the caller.
        input: what is asked; under one key it must stay the same.
        key: the caller's idempotency key; None where there is none, so that it is done each time.
        actor: whom the caller names, such as an agent of the application's support.
        external_id: the user.
        target: what it is done to, at Stripe.
    """

    name: str
    by: str
    input: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    actor: str | None = None
    external_id: str | None = None
    target: str | None = None

    @property
    def fingerprint(self) -> str:
        """What must be the same under one key."""
        identity = [self.name, self.external_id, self.target, self.input]
        return sha256(orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def problems(self) -> list[Problem]:
        """Return what is wrong with the key or the actor."""
        found = []
        if self.key is not None and not 1 <= len(self.key) <= MAX_KEY:
            message = f"the key is empty or too long: use 1 to {MAX_KEY} characters, such as a UUID"
            found.append(Problem(ProblemCode.IDEMPOTENCY_KEY_INVALID, message, "idempotencyKey"))
        if len(self.actor or "") > MAX_ACTOR:
            found.append(
                Problem(ProblemCode.TEXT_TOO_LONG, f"the name is too long: at most {MAX_ACTOR} characters", "actor")
            )
        return found


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to do an action.

    Attributes:
        id: the entry's.
        reference: the gateway's own name of the action, the same in every try: an idempotency key for Stripe.
        again: whether an earlier try was not finished, so that it may have been done already.
    """

    id: int
    reference: str
    again: bool = False


class AuditLog:
    """Does actions once, and keeps them.

    Args:
        database: where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def once(self, action: Action, work: Callable[[Attempt], Awaitable[Json]]) -> Json:
        """Do an action, or return what was answered when it was done before under the same key.

        Args:
            action: what.
            work: does it. What it returns is kept, and must be enough to answer again.

        Raises:
            Rejected: what must be fixed; also what was to be fixed when it was asked before under the same key.
            StripeUnavailable: Stripe cannot be reached; asked again under the same key, it goes on where this stopped.
        """
        if problems := action.problems():
            raise Rejected(*problems)
        keyed = action.key or uuid4().hex
        lock = user_lock(self._database, f"action:{sha256(keyed.encode()).hexdigest()}")
        async with lock if action.key else nullcontext():  # nobody else has a key that was just made
            begun = await self._database.transaction(partial(begin, action=action, key=keyed))
            if not isinstance(begun, Attempt):
                return begun
            try:
                result = await work(begun)
            except RETRIED:
                raise
            except GatewayError as error:
                problems = list(error.problems) if isinstance(error, Rejected) else []
                await self._database.transaction(partial(_refuse, attempt=begun, problems=problems))
                raise
            await self._database.transaction(partial(finish, attempt=begun, result=result))
            return result

    async def page(
        self, first: int, after: str | None, *, external_id: str | None = None, action: str | None = None
    ) -> Page[AuditEntry]:
        """Return a page of what was done, the newest first.

        Args:
            first: how many, 1 to 100.
            after: the cursor of the last entry of the page before.
            external_id: only what was done for this user.
            action: only what has this name.

        Raises:
            BadInput: `first` is out of range, or `after` is no cursor.
        """
        wanted = {ENTRIES.c.external_id: external_id, ENTRIES.c.action: action}
        return await self._page(
            first, after, *(column == value for column, value in wanted.items() if value is not None)
        )

    async def page_of_customer(
        self, first: int, after: str | None, customer_id: str, external_id: str | None
    ) -> Page[AuditEntry]:
        """Return a page of what was done for a user, and to the customer while it was no user's, the newest first.

        Args:
            first: how many, 1 to 100.
            after: the cursor of the last entry of the page before.
            customer_id: the customer at Stripe.
            external_id: whose it is now; None where it is no user's.

        Raises:
            BadInput: `first` is out of range, or `after` is no cursor.
        """
        target = ENTRIES.c.target
        theirs = (target.in_(sa.select(each.c.id).where(each.c.customer_id == customer_id)) for each in OBJECTS)
        nobodys = sa.and_(ENTRIES.c.external_id.is_(None), sa.or_(target == customer_id, *theirs))
        of_user = sa.false() if external_id is None else ENTRIES.c.external_id == external_id
        return await self._page(first, after, of_user | nobodys)

    async def _page(self, first: int, after: str | None, *wanted: sa.ColumnElement[bool]) -> Page[AuditEntry]:
        return await newest(self._database, sa.select(ENTRIES).where(*wanted), ORDER, first, after, make=AuditEntry)


def begin(connection: sa.Connection, action: Action, key: str) -> Attempt | Json:
    """Write an action down; or return what was answered before under its key.

    Raises:
        Rejected: something else was asked under the key, or it was refused.
    """
    values = {
        "reference": uuid4().hex,
        "key": key,
        "fingerprint": action.fingerprint,
        "action": action.name,
        "by": action.by,
        "actor": action.actor,
        "external_id": action.external_id,
        "target": action.target,
        "input": dict(action.input),
        "status": PENDING,
        "created": now(connection),
    }
    if action.key and connection.execute(sa.select(ENTRIES.c.id).where(ENTRIES.c.key == forgotten(key))).first():
        raise Rejected(_reused())  # for somebody who was erased since: that it was done is all that is known
    new = insert(connection, ENTRIES).values(**values).on_conflict_do_nothing(index_elements=["key"])
    made = connection.execute(new.returning(ENTRIES.c.id)).scalar()
    if made is not None:
        return Attempt(made, str(values["reference"]))
    row = connection.execute(sa.select(ENTRIES).where(ENTRIES.c.key == key)).one()
    if row.fingerprint != action.fingerprint:
        raise Rejected(_reused())
    if row.status == DONE:
        return dict(row.result)
    if row.status == REFUSED and row.problems:
        raise Rejected(*(Problem(ProblemCode[each["code"]], each["message"], each["field"]) for each in row.problems))
    return Attempt(row.id, row.reference, again=True)


def finish(connection: sa.Connection, attempt: Attempt, result: Json) -> None:
    """Write down that an action is done, and what is answered."""
    _end(connection, attempt, status=DONE, result=result)


def _reused() -> Problem:
    message = "this key was used before for something else; use a new one"
    return Problem(ProblemCode.IDEMPOTENCY_KEY_REUSED, message, "idempotencyKey")


def _refuse(connection: sa.Connection, attempt: Attempt, problems: Sequence[Problem]) -> None:
    stored = [{"code": each.code.name, "message": each.message, "field": each.field} for each in problems]
    _end(connection, attempt, status=REFUSED, problems=stored)


def _end(connection: sa.Connection, attempt: Attempt, **columns: Any) -> None:
    entry = sa.update(ENTRIES).where(ENTRIES.c.id == attempt.id)
    connection.execute(entry.values(finished=now(connection), **columns))
