"""Counted features asked for by the application's own ids: who may use what, on a database without a server."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from gateway.billing.catalog.product_features import Use, UseKind
from gateway.billing.catalog.service import Catalog
from gateway.billing.counting.counters import Count, Place
from gateway.billing.counting.service import CountedFeatures, place_of, read_counts, with_count
from gateway.billing.counting.uses import Outcome
from gateway.billing.customers.access_memory import AccessMemory
from gateway.billing.customers.service import Customers
from gateway.billing.subscriptions.access import Access, Reason
from gateway.billing.subscriptions.counted import Counted
from gateway.billing.subscriptions.entitlements import Grant
from gateway.billing.user_errors import Rejected
from gateway.db.notifications import Notifications
from gateway.db.tables import table_for
from gateway.models.credits import CreditAccount, CreditLot
from gateway.models.metering import UsageHold, UsageRecord
from gateway.models.mirrored import Product
from gateway.settings import Settings
from harness.rejected import codes
from harness.rows import customer, item, product, subscription
from harness.till import ADA, DAY, PERIOD, TODAY

FEATURES = "tokens, notes, images, plain"
META = {
    "features": FEATURES,
    "limit_tokens": "100",
    "use_tokens": "counter",
    "use_notes": "counter",
    "use_images": "credits",
}
MOST = 2**53 - 1
NOT_ALLOWED, NO_HOLD = [("FEATURE_NOT_ALLOWED", "feature")], [("HOLD_NOT_FOUND", "holdId")]
AMOUNT, KEY = ("AMOUNT_INVALID", "amount"), ("IDEMPOTENCY_KEY_INVALID", "idempotencyKey")


@pytest.fixture
async def process(database, mirror, stripe, fill):
    """Makes what a process counts with: for Ada, who has bought what counts tokens, and Bob, who has bought nothing."""
    plan = item("si_1", "month", "pro")
    plan.current_period_start, plan.current_period_end = PERIOD
    await fill(product("pro", meta=META), ADA, subscription(), plan, customer("cus_2", "bob"))

    def make() -> CountedFeatures:
        settings = Settings.load(stripe_secret_key="sk_test_tests")
        catalog, customers = Catalog(settings, database, hears=lambda: False), Customers(settings, mirror, stripe)
        memory = AccessMemory(database, catalog, customers, Notifications(), 7 * DAY, max_bytes=0)
        return CountedFeatures(database, memory)

    return make


@pytest.fixture
def features(process) -> CountedFeatures:
    return process()


@pytest.fixture
def sold(database, process):
    """Lets the product say something else, and makes what a process that has begun since counts with."""

    async def say(**meta: str) -> CountedFeatures:
        table = table_for(Product)
        update = sa.update(table).where(table.c.id == "pro").values(meta={**META, **meta})
        await database.transaction(lambda connection: connection.execute(update).rowcount)
        return process()

    return say


async def rows(database, model) -> list:
    return list(await database.read(lambda connection: connection.execute(sa.select(table_for(model))).all()))


def words(count: Count | None) -> tuple | None:
    return count and (count.used, count.held, count.limit, count.remaining)


async def test_what_is_used_is_counted_once_for_a_key_and_for_one_user(features, database):
    for _ in range(2):
        done = await features.consume("ada", "tokens", 30, "k")
        assert (words(done.count), done.count.resets_at, done.hold) == ((30, 0, 100, 70), PERIOD[1], None)
    assert [(row.id, row.customer_id, row.value) for row in await rows(database, UsageRecord)] == [
        (done.identifier, "cus_1", 30)
    ]
    assert await codes(features.consume("ada", "tokens", 71, "l")) == [("LIMIT_REACHED", "amount")]
    assert words((await features.consume("ada", "notes", 5, "l")).count) == (5, 0, None, None)


USES = {
    "one": (1, "k", []),
    "the longest key": (1, "k" * 255, []),
    "nothing": (0, "k", [AMOUNT]),
    "less": (-1, "k", [AMOUNT]),
    "the most there is": (MOST, "k", [("LIMIT_REACHED", "amount")]),
    "more than there is": (MOST + 1, "k", [AMOUNT]),
    "no key": (1, "", [KEY]),
    "a long key": (1, "k" * 256, [KEY]),
    "all of it": (0, "", [AMOUNT, KEY]),
}


@pytest.mark.parametrize(("amount", "key", "expected"), USES.values(), ids=USES)
async def test_which_uses_can_be(features, amount, key, expected):
    if not expected:
        assert words((await features.consume("ada", "tokens", amount, key)).count) == (1, 0, 100, 99)
        held = await features.hold("ada", "tokens", amount, 60, key)
        assert (words(held.count), held.hold.key) == ((1, 1, 100, 98), key)
        return
    assert await codes(features.consume("ada", "tokens", amount, key)) == expected
    assert await codes(features.hold("ada", "tokens", amount, 60, key)) == expected


@pytest.mark.parametrize(("who", "feature", "code"), [
    ("bob", "tokens", "FEATURE_NOT_ALLOWED"), ("eve", "tokens", "FEATURE_NOT_ALLOWED"),
    ("ada", "unknown", "FEATURE_NOT_ALLOWED"), ("ada", "plain", "FEATURE_NOT_COUNTED"),
])  # fmt: skip
async def test_who_may_use_nothing_is_told_why(features, who, feature, code):
    assert await codes(features.consume(who, feature, 1, "k")) == [(code, "feature")]
    assert await codes(features.hold(who, feature, 1, 60, "k")) == [(code, "feature")]


async def test_what_was_counted_before_the_access_ended_is_answered_again(features, sold):
    await features.consume("ada", "tokens", 30, "k")
    features = await sold(features="plain")
    assert await features.consume("ada", "tokens", 30, "k") == Outcome(None)
    for feature, amount, key in (("tokens", 31, "k"), ("notes", 30, "k"), ("tokens", 30, "l")):
        assert await codes(features.consume("ada", feature, amount, key)) == NOT_ALLOWED
    assert await codes(features.consume("bob", "tokens", 30, "k")) == NOT_ALLOWED


async def test_credits_that_were_spent_before_the_access_ended_are_answered_again(features, fill, sold):
    lot = CreditLot(id="a", customer_id="cus_1", purchase_id="in_1", granted=100, granted_at=TODAY)
    await fill(CreditAccount(customer_id="cus_1", balance=100, clock=TODAY), lot)
    done = await features.consume("ada", "images", 30, "k")
    assert (words(done.count), done.identifier) == ((None, 0, None, 70), None)
    held = await features.hold("ada", "images", 50, 60, "h")
    assert words(held.count) == (None, 50, None, 20)
    (images,) = (await features.counts("ada", [grant("images", UseKind.CREDITS)])).values()
    assert words(images) == (None, 50, None, 20)
    features = await sold(features="plain")
    assert await features.consume("ada", "images", 30, "k") == Outcome(None)
    for feature, amount in (("images", 31), ("notes", 30)):
        assert await codes(features.consume("ada", feature, amount, "k")) == NOT_ALLOWED


@pytest.mark.parametrize(("seconds", "good"), [(0, False), (1, True), (86_400, True), (86_401, False)])
async def test_how_long_something_is_held(features, database, seconds, good):
    held = features.hold("ada", "tokens", 1, seconds, "k")
    if not good:
        assert await codes(held) == [("DURATION_INVALID", "seconds")]
        return
    await held
    (row,) = await rows(database, UsageHold)
    assert row.expires_at - row.created == timedelta(seconds=seconds)
    assert (row.external_id, row.customer_id, row.feature, row.amount, row.key) == ("ada", "cus_1", "tokens", 1, "k")


async def test_all_that_is_wrong_with_a_hold_is_told_at_once(features):
    assert await codes(features.hold("ada", "tokens", 0, 0, "")) == [AMOUNT, KEY, ("DURATION_INVALID", "seconds")]


async def test_a_hold_is_committed_or_let_go_of_once(features):
    first, other = [(await features.hold("ada", "tokens", 40, 60, key)).hold.id for key in "ab"]
    assert (
        await codes(features.commit(first, -1))
        == await codes(features.commit(first, MOST + 1))
        == [("AMOUNT_INVALID", "actual")]
    )
    assert await codes(features.commit(first, 61)) == [("LIMIT_REACHED", "actual")]
    for _ in range(2):
        done = await features.commit(first, 25)
        assert (done.hold.status, done.hold.actual, words(done.count)) == ("committed", 25, (25, 40, 100, 35))
    for _ in range(2):
        let_go = await features.release(other)
        assert (let_go.hold.status, words(let_go.count)) == ("released", (25, 0, 100, 75))
    assert await codes(features.release(first)) == await codes(features.commit(other, 0)) == [("HOLD_ENDED", "holdId")]
    assert await codes(features.release("hold_9")) == await codes(features.commit("hold_9", 0)) == NO_HOLD


GONE = {
    "the feature is gone": ({"features": "plain"}, True),
    "it is not counted any more": ({"use_tokens": ""}, True),
    "it is counted otherwise": ({"use_tokens": "credits"}, True),
    "it is there": ({}, False),
}


@pytest.mark.parametrize(("meta", "gone"), GONE.values(), ids=GONE)
async def test_what_was_held_is_counted_up_to_its_amount_where_the_feature_is_gone(features, sold, meta, gone):
    first, other = [(await features.hold("ada", "tokens", 40, 60, key)).hold.id for key in "ab"]
    features = await sold(**meta)
    if gone:
        assert await codes(features.commit(first, 41)) == [("FEATURE_NOT_ALLOWED", "actual")]
    done, let_go = await features.commit(first, 40), await features.release(other)
    assert (done.hold.actual, words(done.count)) == (40, None if gone else (40, 40, 100, 20))
    assert (let_go.hold.status, words(let_go.count)) == ("released", None if gone else (40, 0, 100, 60))


def grant(feature: str = "tokens", kind: UseKind | None = UseKind.COUNTER, *, allowed: bool = True) -> Grant:
    access = Access(allowed=allowed, reason=Reason.ACTIVE if allowed else Reason.UNPAID, until=PERIOD[1])
    counted = kind and Counted(Use(kind), subscription_id="sub_1", period=PERIOD)
    return Grant(feature=feature, access=access, limit=100, counted=counted)


async def test_how_several_features_stand(features):
    await features.consume("ada", "tokens", 30, "k")
    await features.consume("ada", "notes", 5, "l")
    asked = [grant(), grant("notes"), grant("plain", None), grant("unknown")]
    found = await features.counts("ada", asked)
    assert {name: words(count) for name, count in found.items()} == {
        "tokens": (30, 0, 100, 70),
        "notes": (5, 0, None, None),
    }
    assert await features.counts("ada", [grant("plain", None)]) == await features.counts("bob", asked) == {}


NOT_COUNTED = {
    "nobody": (None, grant(), ("NO_CUSTOMER", "externalId")),
    "may not": ("cus_1", grant(allowed=False), ("FEATURE_NOT_ALLOWED", "feature")),
    "nothing counts it": ("cus_1", grant(kind=None), ("FEATURE_NOT_COUNTED", "feature")),
}


@pytest.mark.parametrize(("customer_id", "decided", "expected"), NOT_COUNTED.values(), ids=NOT_COUNTED)
def test_where_nothing_is_counted(customer_id, decided, expected):
    with pytest.raises(Rejected) as raised:
        place_of(customer_id, decided)
    assert [(each.code.name, each.field) for each in raised.value.problems] == [expected]


def test_where_it_is_counted():
    assert place_of("cus_1", grant()) == Place("cus_1", "tokens", grant().counted, 100)


COUNT = {"used": 100, "limit": 100, "held": 0, "remaining": 0, "resets_at": None, "overage": False}


def test_nobody_may_use_what_is_used_up():
    there, up, over = Count(**{**COUNT, "remaining": 1}), Count(**COUNT), Count(**{**COUNT, "overage": True})
    for decided, count in ((grant(), None), (grant(), there), (grant(), over), (grant(allowed=False), up)):
        assert with_count(decided, count) == (decided, count)
    decided = grant()
    decided.memo["answer"] = "you may"
    refused, count = with_count(decided, up)
    assert (refused.access, count) == (Access(allowed=False, reason=Reason.LIMIT_REACHED), up)
    assert (refused.feature, refused.limit, refused.counted) == ("tokens", 100, grant().counted)
    assert (refused.memo, decided.memo) == ({}, {"answer": "you may"}), "nobody is answered what was made for another"


async def test_how_counters_and_credits_of_many_customers_stand_together(features, fill, database):
    await features.consume("ada", "tokens", 30, "k")
    lot = CreditLot(id="a", customer_id="cus_1", purchase_id="in_1", granted=9, granted_at=TODAY)
    await fill(CreditAccount(customer_id="cus_1", balance=9, clock=TODAY), lot)
    await features.hold("ada", "images", 4, 60, "h")
    tokens = place_of("cus_1", grant())
    images, none = (place_of(each, grant("images", UseKind.CREDITS)) for each in ("cus_1", "cus_2"))
    found = await database.read(lambda connection: read_counts(connection, [tokens, images, none]))
    assert [words(found[each]) for each in (tokens, images, none)] == [
        (30, 0, 100, 70), (None, 4, None, 5), (None, 0, None, 0),
    ]  # fmt: skip
