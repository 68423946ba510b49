"""Usage that is reported and not consumed: what it uses up of a limit is counted, and told at the same thresholds."""

from collections.abc import Collection, Sequence
from functools import partial

import sqlalchemy as sa

from gateway.billing.counting.counters import Place
from gateway.billing.counting.desk import Desk, Wanted, locks
from gateway.billing.customers.access_memory import AccessMemory
from gateway.billing.metering.usage import Beside, Report, report_all
from gateway.db.database import Database


async def report_counted(database: Database, memory: AccessMemory, reports: Sequence[tuple[str, Report]]) -> None:
    """Write the usage of many down, all of it or nothing; the application is told where it comes to a threshold.

    Args:
        database: where it is written.
        memory: decides who may use what, and how it is counted.
        reports: each with where it stands in the input.

    Raises: as `report_all`.
    """
    metered = await memory.metered()
    about = {(each.external_id, feature) for _, each in reports for feature in metered.get(each.event_name, ())}
    decided = [await memory.of_customer(*each) for each in sorted(about)]
    places = [
        Place(customer_id, grant.feature, grant.counted, grant.limit)
        for customer_id, grant in decided
        if customer_id and grant.counted and grant.access.allowed and grant.limit is not None
    ]
    names = {each.event_name for _, each in reports}
    its = [place for place in places if place.meters & names]
    beside = Beside(frozenset(lock for place in its for lock in locks(*place.key)), partial(_count_and_notify, its))
    await report_all(database, reports, beside if its else None)


def _count_and_notify(places: Collection[Place], connection: sa.Connection) -> None:
    """Count what meters sum up at these places, in a transaction that holds their locks, and tell of thresholds."""
    keys, meters = (frozenset(place.key for place in places), frozenset(place.name for place in places))
    desk = Desk.open(connection, Wanted(keys, meters=meters), ())
    for place in places:
        if desk.meters.get(place.name) == "sum":
            desk.counter(place)
    desk.save()
