"""A till at which a customer's tokens are used, held and let go of: on a database, without a server."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from gateway.billing.catalog.product_features import Use, UseKind
from gateway.billing.counting.counters import Place
from gateway.billing.counting.service import read_counts
from gateway.billing.counting.uses import Commit, Consume, Hold, Release, apply
from gateway.billing.subscriptions.counted import Counted
from gateway.billing.user_errors import Rejected
from gateway.models.mirrored import Meter
from harness.rows import customer

TODAY = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
PERIOD = TODAY - 3 * DAY, TODAY + 27 * DAY
ADA = customer(external_id="ada")
CALLS = Meter(
    id="mtr_1", event_name="calls", formula="sum", display_name="Calls", customer_key="customer", value_key="value",
    status="active", as_of=0,
)  # fmt: skip


def place(limit: int | None = 100, kind: UseKind = UseKind.COUNTER, name: str = "", **columns) -> Place:
    given = {"overage": False, "subscription_id": "sub_1", "period": PERIOD, **columns}
    return Place("cus_1", "tokens", Counted(Use(kind, name), **given), limit)


METERED, PAID = {"kind": UseKind.METER, "name": "calls"}, {"kind": UseKind.CREDITS, "limit": None}


TELLING = {"LIMIT_REACHED", "SPEND_CAP_REACHED", "INSUFFICIENT_CREDITS", "HOLD_ENDED"}
"""Codes of refusals that come with how the feature stands."""


class Till:
    """Does uses, each in a transaction of its own; what became of them in words."""

    def __init__(self, database, **where) -> None:
        self.database, self.place, self.holds, self.said = database, place(**where), {}, ""

    async def do(self, *steps) -> list[str]:
        found = await self.database.transaction(lambda connection: apply(connection, steps))
        for step, each in zip(steps, found, strict=True):
            if isinstance(each, Rejected) and each.problems[0].code.name in TELLING:
                assert (each.current is not None) is (step.place is not None), "who is refused is told how it stands"
            if isinstance(each, Rejected):
                self.said = each.problems[0].message
            elif each.hold:
                self.holds[each.hold.key] = each.hold
        return [_shown(each) for each in found]

    async def use(self, amount: int, key: str = "k") -> str:
        return (await self.do(Consume(self.place, amount, key)))[0]

    async def hold(self, amount: int, key: str = "h", seconds: int = 60) -> str:
        return (await self.do(self.holding(amount, key, seconds)))[0]

    def holding(self, amount: int, key: str = "h", seconds: int = 60) -> Hold:
        return Hold(self.place, "ada", amount, key, timedelta(seconds=seconds))

    async def commit(self, actual: int, key: str = "h", *, gone: bool = False) -> str:
        return (await self.do(Commit(self.holds[key], actual, None if gone else self.place)))[0]

    async def release(self, key: str = "h", *, gone: bool = False) -> str:
        return (await self.do(Release(self.holds[key], None if gone else self.place)))[0]

    async def stands(self) -> str:
        found = await self.database.read(lambda connection: read_counts(connection, [self.place]))
        return _words(found[self.place])

    def later(self, seconds: int) -> None:
        self.database.clock.follow(seconds)

    async def rows(self, model) -> list[dict]:
        table = sa.select(model.__table__)
        found = await self.database.read(lambda connection: connection.execute(table).mappings().all())
        return [dict(row) for row in found]


def _words(count) -> str:
    return f"{count.used}+{count.held} of {count.limit}, {count.remaining} left"


def _shown(outcome) -> str:
    if isinstance(outcome, Rejected):
        (problem,) = outcome.problems
        return f"{problem.code.name} {problem.field}"
    hold = f"{outcome.hold.status} {outcome.hold.amount}/{outcome.hold.actual}: " if outcome.hold else ""
    return hold + (_words(outcome.count) if outcome.count else "-")
