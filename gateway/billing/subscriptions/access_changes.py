"""Tells `access.changed`: looks at every customer whose access may be another by now, and remembers what it found.

Something was written about the customer (`gateway/outbound/access_watch.py` marks it in that transaction), or the
moment has come at which the last decision ended: the end of a grace period tells nobody. The decision is that of
`gateway/billing/subscriptions/access.py`, of the customer's best subscription. All refusals are one: only their end is
news.

The first look at a customer who was there before any endpoint was configured is silent.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa
import structlog

from gateway.billing.subscriptions.access import Reason
from gateway.billing.subscriptions.for_life import for_life
from gateway.billing.subscriptions.state import SubscriptionState, of_customers
from gateway.db.clock import now
from gateway.db.database import Database
from gateway.db.lease_queue import Claim, LeaseQueue, Moment
from gateway.db.queries import PreparedQuery, in_json_array, json_array
from gateway.db.tables import insert, table_for
from gateway.errors import DatabaseUnavailable
from gateway.mirror.accounts import account_of
from gateway.models.mirrored import Customer, Subscription
from gateway.outbound import outbox
from gateway.outbound.access_watch import NO_ACCESS, WATCHES

log = structlog.get_logger()

BATCH, LEASE, IDLE_SECONDS = 50, timedelta(seconds=30), 0.5
WORK_SECONDS = 10.0
PAGE_SIZE = 1_000
FIND_SECONDS = 60.0

CUSTOMERS, SUBSCRIPTIONS = table_for(Customer), table_for(Subscription)

_LONG_AGO = datetime.fromtimestamp(0, UTC)


class AccessChangePublisher:
    """Looks at customers; several processes share the work.

    Args:
        database: the mirror and the outbox.
        grace: how long access goes on after the first failed charge.
        page_size: how many customers are looked for at once whom nobody has marked.
        rest_seconds: how long it rests after such a look, once all were looked at.
    """

    def __init__(
        self,
        database: Database,
        grace: timedelta,
        *,
        page_size: int = PAGE_SIZE,
        rest_seconds: float = FIND_SECONDS,
    ) -> None:
        self._database = database
        self._page_size, self._rest_seconds = page_size, rest_seconds
        self._grace = grace
        self._found_to, self._has_found_all = "", False  # here, so that a round that fails goes on where it was
        self.queue = LeaseQueue(
            name="access",
            database=database,
            key=WATCHES.c.customer_id,
            due_at=WATCHES.c.check_at,
            due=_due,
            work=self._look,
            group=lambda _: None,  # one transaction for all
            slots=1,
            batch=BATCH,
            lease=LEASE,
            work_seconds=WORK_SECONDS,
            idle_seconds=IDLE_SECONDS,
            now=database.clock.now,  # a decision is due again when access ends
        )

    async def run(self) -> None:
        """Look at whoever is due, until cancelled; nothing where no endpoint is configured."""
        if not self._database.endpoints:
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.queue.run())
            tasks.create_task(self._find_regularly())

    async def _find_regularly(self) -> None:
        """Go through all customers once, and then on through a page at a time, round and round."""
        while True:
            self._has_found_all |= not await self._find_page()
            await asyncio.sleep(self._rest_seconds if self._has_found_all else 0)

    async def find(self) -> None:
        """Watch the customers that nobody has marked: from before the endpoint was set, or from `gateway sync`."""
        while await self._find_page():
            pass

    async def _find_page(self) -> bool:
        """Look at the next customers with a subscription, which an index has in order; whether there are more."""
        ids = await self._database.read(partial(_ids, _PAGE, after=self._found_to, limit=self._page_size))
        ours = [each for each in ids if account_of(each)[0] is None]
        if missing := sorted({*ours} - {*await self._database.read(partial(_ids, _WATCHED, ids=json_array(ids)))}):
            present = self._database.clock.now()
            rows = [{"customer_id": each, "check_at": present, "last_notified": None} for each in missing]
            await self._database.transaction(partial(_watch, rows))
        self._found_to = ids[-1] if ids else ""
        return bool(ids)

    async def _look(self, claim: Claim) -> None:
        """Look at some customers together; where that fails, at each alone, so that it takes no neighbour along."""
        try:
            await self._database.transaction(partial(self._decide, claim))
        except DatabaseUnavailable:
            raise
        except Exception as error:
            if len(claim.rows) == 1:
                raise
            log.warning("access_one_by_one", count=len(claim.rows), error=type(error).__name__)
            for row in claim.rows:
                try:
                    await self._database.transaction(partial(self._decide, claim._replace(rows=[row])))
                except DatabaseUnavailable:
                    raise
                except Exception:
                    log.exception("access_not_decided", customer=row["customer_id"])  # again when its lease ends

    def _decide(self, claim: Claim, connection: sa.Connection) -> None:
        """Decide the access of customers that nothing was written about since they were claimed, and tell changes."""
        held = sa.select(WATCHES).where(self.queue.holds(claim)).order_by(WATCHES.c.customer_id).with_for_update()
        rows = connection.execute(held).mappings().all()
        states = self._states(connection, [row["customer_id"] for row in rows])
        for row in rows:
            its = states.get(row["customer_id"], ())
            best = max(its, key=_worth, default=None)
            check_at = _next_look(its, now(connection))
            _remember(connection, row["customer_id"], last_notified=_state(best), check_at=check_at)
            if row["last_notified"] not in {None, _state(best)}:
                outbox.append(connection, row["customer_id"], "access.changed", _data(best))

    def _states(self, connection: sa.Connection, ids: Sequence[str]) -> dict[str, list[SubscriptionState]]:
        """Return the subscriptions of these customers; of those that are deleted at Stripe none counts."""
        query = sa.select(CUSTOMERS.c.id, CUSTOMERS.c.deleted, CUSTOMERS.c.owned).where(CUSTOMERS.c.id.in_(ids))
        customers = connection.execute(query).all()
        left = set(ids) - {row.id for row in customers if row.deleted}
        # read after the rows are locked: nothing is overlooked
        found = of_customers(connection, left, self._grace)
        for row in customers:
            if row.id in left and row.owned:
                found[row.id] = [*found.get(row.id, ()), *for_life(row.owned)]
        return found


def _due(now: Moment) -> sa.Select[Any]:
    return sa.select(WATCHES).where(WATCHES.c.check_at <= now).order_by(WATCHES.c.check_at)


_PAGE = PreparedQuery(
    lambda _: (
        sa.select(SUBSCRIPTIONS.c.customer_id)
        .where(SUBSCRIPTIONS.c.customer_id > sa.bindparam("after"))
        .distinct()
        .order_by(SUBSCRIPTIONS.c.customer_id)
        .limit(sa.bindparam("limit", type_=sa.Integer))
    )
)
_WATCHED = PreparedQuery(
    lambda dialect: sa.select(WATCHES.c.customer_id).where(in_json_array(dialect, WATCHES.c.customer_id, "ids"))
)


def _ids(query: PreparedQuery, connection: sa.Connection, **given: Any) -> list[str]:
    return [row.customer_id for row in query.rows(connection, **given)]


def _watch(rows: list[dict[str, Any]], connection: sa.Connection) -> None:
    connection.execute(insert(connection, WATCHES).on_conflict_do_nothing(), rows)


def _remember(connection: sa.Connection, customer_id: str, **state: Any) -> None:
    connection.execute(sa.update(WATCHES).where(WATCHES.c.customer_id == customer_id).values(**state))


def _worth(state: SubscriptionState) -> tuple[bool, datetime, datetime]:
    """Return the one with access that lasts longest, else the newest."""
    access = state.access
    return access.allowed, access.until or _LONG_AGO, state.subscription.created


def _state(best: SubscriptionState | None) -> str:
    """Return what matters of a decision."""
    if best is None or not best.access.allowed:
        return NO_ACCESS
    return f"{best.access.reason.name} {best.access.until}"


def _next_look(states: Sequence[SubscriptionState], present: datetime) -> datetime | None:
    """Return the next moment at which time alone may change the decision: beyond `until` nothing is certain."""
    ends = (each.access.until for each in states if each.access.allowed)
    return min((end for end in ends if end and end > present), default=None)


def _data(best: SubscriptionState | None) -> dict[str, Any]:
    """Return the decision as it is told, in GraphQL's words."""
    if best is None:
        return {"allowed": False, "reason": Reason.NO_SUBSCRIPTION.name, "until": None, "subscriptionId": None}
    access = best.access
    return {
        "allowed": access.allowed,
        "reason": access.reason.name,
        "until": access.until.isoformat() if access.until else None,
        "subscriptionId": best.subscription.id or None,
    }


def count_due_customers(connection: sa.Connection) -> dict[str, int]:
    """Count the customers whose access is due to be decided."""
    query = sa.select(sa.func.count()).select_from(WATCHES).where(WATCHES.c.check_at <= now(connection))
    return {"pending": connection.execute(query).scalar_one()}
