"""Counted features for whoever asks by the application's own ids: how they stand, and what is used of them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final

import sqlalchemy as sa

from gateway.billing.counting import counters
from gateway.billing.counting.counters import MAX_COUNT, Count, Place
from gateway.billing.counting.desk import read_holds
from gateway.billing.counting.reported import report_counted
from gateway.billing.counting.uses import Commit, Consume, Hold, Outcome, Release, Step, apply, was_consumed
from gateway.billing.credits.held import held
from gateway.billing.credits.service import balances
from gateway.billing.customers.access_memory import AccessMemory
from gateway.billing.metering.usage import Report
from gateway.billing.subscriptions.access import Reason
from gateway.billing.subscriptions.entitlements import Grant
from gateway.billing.subscriptions.validation import check
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.db.batches import Batches
from gateway.db.clock import now
from gateway.db.database import Database
from gateway.models.metering import UsageHold

MAX_KEY: Final = 255
MAX_SECONDS: Final = 24 * 3600
"""How long work may take for which something is held: a day."""


class CountedFeatures:
    """Counts what is used of features. One instance for a process: what many ask at a time shares a transaction.

    Args:
        database: where it is counted.
        memory: decides who may use what, and how it is counted.
    """

    def __init__(self, database: Database, memory: AccessMemory) -> None:
        self._database = database
        self._memory = memory
        self._uses: Batches[Step, Outcome | Rejected] = Batches(database, apply)
        self._holds: Batches[str, UsageHold | None] = Batches(database, read_holds, reads=True)

    async def consume(self, external_id: str, feature: str, amount: int, key: str) -> Outcome:
        """Use an amount of a feature, if so much is left; once for the key.

        Args:
            external_id: the application's own user.
            feature: its key.
            amount: how much, at least 1.
            key: the caller's.

        Raises:
            Rejected: it must be fixed, or is more than is left. Nothing was counted.
            DatabaseUnavailable: the database cannot be reached; the same can be asked again.
        """
        check(_bad_amount(amount), _bad_key(key))
        customer_id, grant = await self._memory.of_customer(external_id, feature)
        if customer_id and _bad_grant(grant):
            before = partial(was_consumed, customer_id, feature, amount, key)
            if await self._database.read(before):
                return Outcome(None)  # counted before the access ended, and its answer was lost
        return await self._do(Consume(place_of(customer_id, grant), amount, key))

    async def hold(self, external_id: str, feature: str, amount: int, seconds: int, key: str) -> Outcome:
        """Keep an amount of a feature for work under way, if so much is left; once for the key.

        Args: as those of `consume`.
            seconds: how long it is kept.

        Raises: as `consume`.
        """
        check(_bad_amount(amount), _bad_key(key), _bad_seconds(seconds))
        place = place_of(*await self._memory.of_customer(external_id, feature))
        return await self._do(Hold(place, external_id, amount, key, timedelta(seconds=seconds)))

    async def commit(self, hold_id: str, actual: int) -> Outcome:
        """Count what the work of a hold came to, and let go of the rest.

        Args:
            hold_id: the hold's.
            actual: what it came to; 0 is nothing.

        Raises: as `consume`; also Rejected: there is no such hold, or it has ended otherwise.
        """
        check(_bad_amount(actual, least=0, field="actual"))
        hold = await self._hold(hold_id)
        return await self._do(Commit(hold, actual, await self._place_of(hold)))

    async def release(self, hold_id: str) -> Outcome:
        """Let go of what a hold keeps.

        Raises: as `commit`.
        """
        hold = await self._hold(hold_id)
        return await self._do(Release(hold, await self._place_of(hold)))

    async def report(self, reports: Sequence[tuple[str, Report]]) -> None:
        """Write usage down that was not consumed here (`metering/usage.py`), and tell where it comes to a threshold.

        Args:
            reports: each with where it stands in the input.

        Raises: as `report_all`.
        """
        await report_counted(self._database, self._memory, reports)

    async def counts(self, external_id: str, grants: Iterable[Grant]) -> dict[str, Count]:
        """Return how those of some decisions stand that are counted, by the feature.

        Args:
            external_id: the application's own user.
            grants: the decisions.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        features = [grant.feature for grant in grants if grant.counted]
        decided = [await self._memory.of_customer(external_id, feature) for feature in features]
        places = [place_of(customer_id, grant) for customer_id, grant in decided if not _bad_grant(grant)]
        found = await self._database.read(partial(read_counts, places=places)) if places else {}
        return {place.feature: count for place, count in found.items()}

    async def _do(self, use: Step) -> Outcome:
        outcome = await self._uses.do(use)
        if isinstance(outcome, Rejected):
            raise outcome
        return outcome

    async def _place_of(self, hold: UsageHold) -> Place | None:
        """Return what is counted now where a hold keeps something; None where that is not so any more."""
        customer_id, grant = await self._memory.of_customer(hold.external_id, hold.feature)
        if _bad_grant(grant):
            return None
        place = place_of(customer_id, grant)
        return place if place.key == (hold.customer_id, hold.name) else None

    async def _hold(self, hold_id: str) -> UsageHold:
        """Return a hold as it is.

        Raises:
            Rejected: there is none.
        """
        hold = await self._holds.do(hold_id)
        if hold is None:
            raise Rejected(Problem(ProblemCode.HOLD_NOT_FOUND, "there is no such hold", "holdId"))
        return hold


def place_of(customer_id: str | None, grant: Grant) -> Place:
    """Return what is counted of a customer by a decision.

    Raises:
        Rejected: nothing is.
    """
    if customer_id is None or grant.counted is None or not grant.access.allowed:
        raise Rejected(_bad_grant(grant) or NOBODY)
    return Place(customer_id, grant.feature, grant.counted, grant.limit)


def with_count(grant: Grant, count: Count | None) -> tuple[Grant, Count | None]:
    """Return a decision as the count has it, and the count: nobody may use what is used up."""
    if count is None or count.is_open or not grant.access.allowed:
        return grant, count
    refused = replace(grant.access, allowed=False, reason=Reason.LIMIT_REACHED, until=None)
    return replace(grant, access=refused, memo={}), count


def read_counts(connection: sa.Connection, places: Collection[Place]) -> Mapping[Place, Count]:
    """Return how counted features stand, of however many customers."""
    paying = {account_id for each in places if (account_id := each.account_id)}
    moment = now(connection)
    there = balances(connection, paying) if paying else {}
    on_hold = held(connection, paying, moment) if paying else {}
    credit_counts = {each: (there.get(each, 0), on_hold.get(each, 0)) for each in paying}
    return counters.read(connection, places, moment, credit_counts)


NOBODY: Final = Problem(
    ProblemCode.NO_CUSTOMER, "this user has bought nothing yet: a first checkout comes before it", "externalId"
)


def _bad_grant(grant: Grant) -> Problem | None:
    """Return why nothing is counted by a decision."""
    if not grant.access.allowed:
        message = f"the customer may not use the feature: {grant.access.reason.name}"
        return Problem(ProblemCode.FEATURE_NOT_ALLOWED, message, "feature")
    if grant.counted is None:
        message = f"no product says what counts it: give one that has it the metadata `use_{grant.feature}`"
        return Problem(ProblemCode.FEATURE_NOT_COUNTED, message, "feature")
    return None


def _bad_amount(amount: int, *, least: int = 1, field: str = "amount") -> Problem | None:
    if least <= amount <= MAX_COUNT:
        return None
    return Problem(ProblemCode.AMOUNT_INVALID, f"an amount is {least} to {MAX_COUNT}", field)


def _bad_key(key: str) -> Problem | None:
    if 1 <= len(key) <= MAX_KEY:
        return None
    message = f"the key is empty or too long: use 1 to {MAX_KEY} characters, such as a UUID"
    return Problem(ProblemCode.IDEMPOTENCY_KEY_INVALID, message, "idempotencyKey")


def _bad_seconds(seconds: int) -> Problem | None:
    if 1 <= seconds <= MAX_SECONDS:
        return None
    return Problem(ProblemCode.DURATION_INVALID, f"a hold lasts 1 to {MAX_SECONDS} seconds", "seconds")
