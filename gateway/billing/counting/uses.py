"""What a customer uses of a counted feature: consumed at once, or held first and committed when its cost is known.

Each is admitted and counted in one step, under the customer's lock (`desk.py`): never more than the limit, whoever asks
at once. A caller's key counts once. A hold keeps its amount until it is committed or released, or lapses by time alone.
What is committed counts when it is, in the period of then: the hold has kept room for it in that one as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, Protocol
from uuid import uuid4

import sqlalchemy as sa

from gateway.billing.counting.counters import PLAIN, Count, Place
from gateway.billing.counting.desk import COUNTED, USAGE, Desk, Wanted
from gateway.billing.credits.held import account_of
from gateway.billing.credits.kinds import split
from gateway.billing.credits.spending import Spend, entries_of
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.models.metering import UsageHold, UsageRecord

OPEN, COMMITTED, RELEASED, LAPSED = "open", "committed", "released", "lapsed"
HOLD_PREFIX: Final = "hold_"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a use.

    Attributes:
        count: how the feature stands afterwards; None where the customer does not have it any more.
        hold: the hold that it is about.
        identifier: under which it was written down; None where nothing was, and of credits.
    """

    count: Count | None
    hold: UsageHold | None = None
    identifier: str | None = None


class Step(Protocol):
    """Something that is counted, or kept."""

    @property
    def wanted(self) -> Wanted:
        """What must be read and locked for it."""

    @property
    def credits_of(self) -> str | None:
        """The account of credits that it is about."""

    def apply(self, desk: Desk) -> Outcome:
        """Do it.

        Raises:
            Rejected: it must be fixed; nothing was done.
        """


def apply(connection: sa.Connection, uses: Sequence[Step]) -> list[Outcome | Rejected]:
    """Do some uses in their order; what became of each."""
    paying = {account_id for each in uses if (account_id := each.credits_of)}
    desk = Desk.open(connection, Wanted.together(each.wanted for each in uses), paying)
    outcomes: list[Outcome | Rejected] = []
    for use in uses:
        try:
            outcomes.append(use.apply(desk))
        except Rejected as rejected:
            outcomes.append(rejected)
    desk.save()
    return outcomes


@dataclass(frozen=True, slots=True)
class Consume:
    """Use an amount.

    Attributes:
        place: what is counted of whom.
        amount: how much.
        key: the caller's; the same one counts once.
    """

    place: Place
    amount: int
    key: str

    @property
    def wanted(self) -> Wanted:
        """The counter, and the record of an earlier try."""
        records = frozenset({record_id(self.place.customer_id, self.key)})
        return Wanted(frozenset({self.place.key}), records=records, meters=self.place.meters)

    @property
    def credits_of(self) -> str | None:
        """The credit account that pays for it; None where none does."""
        return self.place.account_id

    def apply(self, desk: Desk) -> Outcome:
        """Count it, unless it is more than is left."""
        place, fingerprint = self.place, _fingerprint(self.place.feature, self.amount)
        record = record_id(place.customer_id, self.key)
        if account_id := place.account_id:
            _pay(desk, account_id, place.feature, self.amount, key=record)
        elif (before := desk.records.get(record)) is not None:
            _check_same(before.fingerprint, fingerprint)
        else:
            desk.admit(place, self.amount)
            desk.add(_record(desk, place.customer_id, place.name, self.amount, id=record, fingerprint=fingerprint))
        return Outcome(desk.count(place), identifier=None if place.is_credits else record)


@dataclass(frozen=True, slots=True)
class Hold:
    """Keep an amount for work whose cost is not known yet.

    Attributes:
        place: what is counted of whom.
        external_id: the user, by the application's own id.
        amount: how much.
        key: the caller's; the same one holds once.
        lasts: how long it is kept.
    """

    place: Place
    external_id: str
    amount: int
    key: str
    lasts: timedelta

    @property
    def wanted(self) -> Wanted:
        """The counter, and the hold of an earlier try."""
        return Wanted(frozenset({self.place.key}), hold_keys=frozenset({self.key}), meters=self.place.meters)

    @property
    def credits_of(self) -> str | None:
        """The credit account that pays for it; None where none does."""
        return self.place.account_id

    def apply(self, desk: Desk) -> Outcome:
        """Keep it, unless it is more than is left."""
        fingerprint = _fingerprint(self.place.feature, self.amount)
        mine = (self.place.customer_id, self.key)
        before = next((each for each in desk.holds.values() if (each.customer_id, each.key) == mine), None)
        if before is not None:
            _check_same(before.fingerprint, fingerprint)
            return Outcome(desk.count(self.place), before)
        desk.admit(self.place, self.amount)
        hold = UsageHold(
            id=HOLD_PREFIX + uuid4().hex,
            customer_id=self.place.customer_id,
            external_id=self.external_id,
            feature=self.place.feature,
            name=self.place.name,
            amount=self.amount,
            status=OPEN,
            key=self.key,
            fingerprint=fingerprint,
            expires_at=desk.now + self.lasts,
            created=desk.now,
        )
        desk.keep(hold, self.amount)
        return Outcome(desk.count(self.place), hold)


@dataclass(frozen=True, slots=True)
class Commit:
    """Count what the work of a hold came to.

    Attributes:
        hold: as it was read before.
        actual: what it came to.
        place: what is counted now, for what the hold does not keep; None where the customer does not have it any more.
    """

    hold: UsageHold
    actual: int
    place: Place | None

    @property
    def wanted(self) -> Wanted:
        """The hold, and its counter."""
        return _of_hold(self.hold, self.place)

    @property
    def credits_of(self) -> str | None:
        """The credit account that pays for it; None where none does."""
        return account_of(self.hold.customer_id, self.hold.name)

    def apply(self, desk: Desk) -> Outcome:
        """Count it. More than is held is admitted as other uses are, and so is what was held by one that has lapsed."""
        hold = desk.hold(self.hold.id)
        if hold.status == COMMITTED and hold.actual == self.actual:
            return Outcome(self._count(desk), hold)
        if hold.status in {COMMITTED, RELEASED}:
            raise Rejected(Problem(ProblemCode.HOLD_ENDED, _ended(hold), "holdId"), current=self._count(desk))
        reserved = hold.amount if status_of(hold, desk.now) == OPEN else 0
        self._count(desk)  # in the window that counts now
        fingerprint = _fingerprint(hold.feature, self.actual)
        if account_id := self.credits_of:
            _pay(desk, account_id, hold.feature, self.actual, key=hold.id, reserved=reserved)
        else:
            if self.actual > reserved:
                self._admit_more(desk, reserved)
            if self.actual:
                desk.add(_record(desk, hold.customer_id, hold.name, self.actual, id=hold.id, fingerprint=fingerprint))
        done = hold.model_copy(update={"status": COMMITTED, "actual": self.actual})
        desk.keep(done, -reserved)
        return Outcome(self._count(desk), done)

    def _admit_more(self, desk: Desk, reserved: int) -> None:
        """Refuse what the hold does not keep and nobody may use any more.

        Raises:
            Rejected: it is too much.
        """
        if self.place is None:
            message = f"the customer does not have the feature any more: at most {reserved} can be committed"
            raise Rejected(Problem(ProblemCode.FEATURE_NOT_ALLOWED, message, "actual"))
        desk.admit(self.place, self.actual - reserved, "actual")

    def _count(self, desk: Desk) -> Count | None:
        return desk.count(self.place) if self.place else None


@dataclass(frozen=True, slots=True)
class Release:
    """Let go of what a hold keeps.

    Attributes:
        hold: as it was read before.
        place: what is counted now; None where the customer does not have it any more.
    """

    hold: UsageHold
    place: Place | None

    @property
    def wanted(self) -> Wanted:
        """The hold, and its counter."""
        return _of_hold(self.hold, self.place)

    @property
    def credits_of(self) -> str | None:
        """The credit account that pays for it; None where none does."""
        return account_of(self.hold.customer_id, self.hold.name)

    def apply(self, desk: Desk) -> Outcome:
        """Let go of it; of what has lapsed there is nothing to be done."""
        hold = desk.hold(self.hold.id)
        if hold.status == COMMITTED:
            count = desk.count(self.place) if self.place else None
            raise Rejected(Problem(ProblemCode.HOLD_ENDED, _ended(hold), "holdId"), current=count)
        if hold.status != RELEASED:
            reserved = hold.amount if status_of(hold, desk.now) == OPEN else 0
            hold = hold.model_copy(update={"status": RELEASED})
            desk.keep(hold, -reserved)
        return Outcome(desk.count(self.place) if self.place else None, hold)


def status_of(hold: UsageHold, moment: datetime) -> str:
    """Return how a hold stands at a moment: it lapses by time alone."""
    return LAPSED if hold.status == OPEN and hold.expires_at <= moment else hold.status


def record_id(customer_id: str, key: str) -> str:
    """Return the id of what is consumed under a customer's key."""
    return f"use_{sha256(f'{customer_id} {key}'.encode()).hexdigest()[:40]}"


def was_consumed(customer_id: str, feature: str, amount: int, key: str, connection: sa.Connection) -> bool:
    """Return whether an amount was consumed under a key."""
    record = record_id(customer_id, key)
    counted = connection.execute(sa.select(USAGE.c.fingerprint).where(USAGE.c.id == record)).scalar()
    spent = entries_of(connection, [customer_id], [record])
    is_paid = [(entry.amount, entry.reason) for entry in spent] == [(-amount, feature)]
    return counted == _fingerprint(feature, amount) or is_paid


def _of_hold(hold: UsageHold, place: Place | None) -> Wanted:
    meters = place.meters if place else frozenset()
    return Wanted(frozenset({(hold.customer_id, hold.name)}), holds=frozenset({hold.id}), meters=meters)


def _ended(hold: UsageHold) -> str:
    return "it was released" if hold.status == RELEASED else f"{hold.actual} of it was committed"


def _fingerprint(feature: str, amount: int) -> str:
    return sha256(repr((feature, amount)).encode()).hexdigest()


def _check_same(before: str, fingerprint: str) -> None:
    """Refuse another use under a key.

    Raises:
        Rejected: it is another one.
    """
    if before != fingerprint:
        message = "this key was used for another amount or feature; use a new one for another use"
        raise Rejected(Problem(ProblemCode.IDEMPOTENCY_KEY_REUSED, message, "idempotencyKey"))


def _pay(desk: Desk, account_id: str, feature: str, amount: int, *, key: str, reserved: int = 0) -> None:
    """Spend credits, once for a key.

    Raises:
        Rejected: there are not enough beside what is held by others, or the key was used for something else.
    """
    if amount:
        desk.pay(account_id, Spend("", amount, key, reason=feature, kind=split(account_id)[1]), reserved)


def _record(desk: Desk, customer_id: str, name: str, value: int, *, id: str, fingerprint: str) -> UsageRecord:
    """Return the record of a use, which is sent to Stripe where a meter counts it."""
    is_plain, due = name.startswith(PLAIN), datetime.now(UTC)
    return UsageRecord(
        id=id,
        customer_id=customer_id,
        event_name=name,
        value=value,
        timestamp=desk.moment(customer_id, name).replace(microsecond=0),
        fingerprint=fingerprint,
        status=COUNTED if is_plain else "pending",
        next_attempt_at=None if is_plain else due,
        created=due,
    )
