"""However Stripe's events come in, the mirror ends as Stripe is: random histories, random deliveries, two processes.

The histories are real: the offline Stripe plays them through its API and its clock. Its own deliveries are switched
off; the tests deliver its events themselves, in any order, twice, or not at all.
"""

import asyncio
import os
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from gateway.app import create_app
from gateway.db.lease_queue import utc_now
from gateway.db.rows import row_by_id
from gateway.db.tables import table_for
from gateway.errors import StripeUnavailable
from gateway.mirror import reconcile
from gateway.mirror.reader import Reader
from gateway.models.infra import SyncState
from gateway.runtime import open_runtime
from gateway.settings import Settings
from gateway.stripe_api.client import Stripe
from gateway.webhooks.catch_up import NAME, catch_up
from gateway.webhooks.event import Delivery, StripeEvent
from gateway.webhooks.handlers import HANDLERS
from gateway.webhooks.inbox import Inbox, count_open_events
from gateway.webhooks.outcomes import TIE_WAIT
from gateway.webhooks.worker import Worker
from harness.databases import both_databases, postgres_later
from harness.gateway import fill_mirror, listening, make_world, serve

CARD = {"payment_method": "pm_card_visa", "invoice_settings[default_payment_method]": "pm_card_visa"}

AT_ONCE = {"proration_behavior": "always_invoice"}
"""Nothing is left for an invoice after the end, which changes a canceled subscription without an event."""


class Stage:
    """An offline Stripe whose deliveries the test makes, and two gateways on one database."""

    def __init__(self, world, urls):
        self.world, self.urls = world, urls
        self.stripe = world.stripe
        world.client.post(f"{world.stripe_url}/_sandbox/chaos", json={"drop": 1})
        product = self.stripe("POST", "/v1/products", name="Weekly")
        self.product = product["id"]
        weekly = {"product": product["id"], "currency": "usd", "recurring[interval]": "week"}
        self.prices = [self.stripe("POST", "/v1/prices", unit_amount=amount, **weekly)["id"] for amount in (500, 900)]
        self.seen = set()
        self.deliver([(event, 0) for event in self.take()])

    def take(self):
        """The events since the last look, oldest first."""
        events, after = [], {}
        while True:
            page = self.stripe("GET", "/v1/events", limit=100, **after)
            fresh = [event for event in page["data"] if event["id"] not in self.seen]
            events += fresh
            if len(fresh) < len(page["data"]) or not page["has_more"]:
                break
            after = {"starting_after": page["data"][-1]["id"]}
        self.seen |= {event["id"] for event in events}
        return [event for event in reversed(events) if event["type"] in HANDLERS]

    def advance(self, seconds):
        answer = self.world.client.post(f"{self.world.stripe_url}/_sandbox/clock/advance", json={"by": seconds})
        assert answer.is_success, answer.text

    def deliver(self, arrivals):
        """Deliver events side by side to the gateways that were chosen for them; each must be taken."""

        def one(arrival):
            event, gateway = arrival
            answer = self.world.deliver(event, url=self.urls[gateway])
            assert answer.status_code == 200, answer.text

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(one, arrivals))

    def settle(self):
        """Wait until neither worker has anything left to do."""
        self.world.eventually(lambda: self.world.rows("event", status="pending"), [], seconds=30)
        assert self.world.rows("event", status="failed") == []
        assert self.world.rows("event", status="dead") == []

    def with_parts(self, work):
        """Run something of the gateway's own against the stage."""

        async def run():
            async with open_runtime(self.world.settings) as runtime:
                return await work(runtime.mirror, runtime.require_stripe())

        return asyncio.run(run())

    def catch_up(self):
        return self.with_parts(lambda mirror, stripe: catch_up(Inbox(mirror), Reader(stripe)))

    def repair(self):
        async def work(mirror, stripe):
            found = [each async for step in reconcile.compare(mirror.database, stripe) for each in step.differences]
            await reconcile.repair(mirror, stripe, found)

        self.with_parts(work)

    def differences(self):
        async def work(mirror, stripe):
            steps = reconcile.compare(mirror.database, stripe)
            return [str(found) async for step in steps for found in step.differences]

        return self.with_parts(work)


@contextmanager
def stage_on(database_url):
    with make_world(database_url, event_catch_up_minutes=0) as world:
        listener, url = listening()
        with serve(create_app(Settings.model_copy(world.settings)), listener):
            yield Stage(world, [world.url, url])


@pytest.fixture
def stage(database_url):
    with stage_on(database_url) as made:
        yield made


def subscribe(stage, actors, draw):
    customer = stage.stripe("POST", "/v1/customers", email=f"u{len(actors)}@example.com", **CARD)["id"]
    price = draw(st.sampled_from(stage.prices))
    subscription = stage.stripe("POST", "/v1/subscriptions", customer=customer, **{"items[0][price]": price})
    actors.append((customer, subscription["id"], subscription["items"]["data"][0]["id"]))


def change_quantity(stage, actors, draw):
    _, subscription, item = draw(st.sampled_from(actors))
    change = {"items[0][id]": item, "items[0][quantity]": draw(st.integers(1, 5)), **AT_ONCE}
    stage.stripe("POST", f"/v1/subscriptions/{subscription}", **change)


def switch_plan(stage, actors, draw):
    _, subscription, item = draw(st.sampled_from(actors))
    change = {"items[0][id]": item, "items[0][price]": draw(st.sampled_from(stage.prices)), **AT_ONCE}
    stage.stripe("POST", f"/v1/subscriptions/{subscription}", **change)


def cancel_at_period_end(stage, actors, draw):
    _, subscription, _ = draw(st.sampled_from(actors))
    stage.stripe(
        "POST", f"/v1/subscriptions/{subscription}", cancel_at_period_end=draw(st.sampled_from(["true", "false"]))
    )


def cancel_now(stage, actors, draw):
    _, subscription, _ = actors.pop(draw(st.integers(0, len(actors) - 1)))
    stage.stripe("DELETE", f"/v1/subscriptions/{subscription}")


def rename(stage, actors, draw):
    customer, *_ = draw(st.sampled_from(actors))
    stage.stripe("POST", f"/v1/customers/{customer}", name=draw(st.sampled_from(["Ada", "Grace", "Edsger"])))


def delete_customer(stage, actors, draw):
    customer, *_ = actors.pop(draw(st.integers(0, len(actors) - 1)))
    stage.stripe("DELETE", f"/v1/customers/{customer}")


def rename_product(stage, actors, draw):
    stage.stripe("POST", f"/v1/products/{stage.product}", name=draw(st.sampled_from(["Weekly", "Each week"])))


def let_time_pass(stage, actors, draw):
    stage.advance(draw(st.sampled_from([1, 3600, 2 * 86_400])))
    for actor in list(actors):  # who has canceled at the end of the period may be gone now
        if stage.stripe("GET", f"/v1/subscriptions/{actor[1]}")["status"] == "canceled":
            actors.remove(actor)


STEPS = (change_quantity, switch_plan, cancel_at_period_end, cancel_now, rename, delete_customer, rename_product)


def play(stage, data):
    """A history of a few customers; its events, oldest first."""
    actors = []
    subscribe(stage, actors, data.draw)
    for _ in range(data.draw(st.integers(3, 10))):
        step = data.draw(st.sampled_from([subscribe, let_time_pass, *(STEPS if actors else ())]))
        step(stage, actors, data.draw)
    # Whoever is left renews; the odd hours keep the next renewal away from the moment of the comparison.
    stage.advance(8 * 86_400 + 5 * 3_600)
    return stage.take()


@postgres_later
@settings(
    max_examples=int(os.environ.get("HISTORIES", "2")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a history takes seconds: none is worth shrinking
)
@given(data=st.data())
def test_any_order_duplicates_and_drops_over_two_processes_end_as_stripe_is(stage, data):
    events = play(stage, data)
    dice = random.Random(data.draw(st.integers(0, 2**32)))  # noqa: S311 - so that hypothesis need not draw each
    arrivals = [event for event in events for _ in range(dice.choice([0, 1, 1, 2, 3]))]
    dice.shuffle(arrivals)

    stage.deliver([(event, dice.randrange(2)) for event in arrivals])
    stage.settle()
    found = stage.catch_up()
    stage.settle()

    assert stage.differences() == []
    assert found.lost == 0
    assert {event["id"] for event in events} <= {row["id"] for row in stage.world.rows("event")}
    assert sum(row["source"] == "list" for row in stage.world.rows("event")) >= len(set(found.missed))


def reads(stage):
    """How often this process's gateways have asked Stripe for something."""
    lines = stage.world.client.get(f"{stage.world.url}/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith('gateway_stripe_calls_total{method="get"'))


@postgres_later
def test_whole_lives_whose_events_share_their_seconds_are_applied_with_hardly_a_read_of_stripe(
    stage, another_database_url
):
    """Ties wait half a second for the events of their second. Here they wait until all are recorded, so that a slow
    machine, which takes longer, counts no read that is its own.
    """
    elsewhere = stage.world.settings.model_copy(update={"database_url": SecretStr(another_database_url)})
    asyncio.run(fill_mirror(elsewhere))
    actors, data = [], random.Random(7)  # noqa: S311 - the same lives each time
    for _ in range(8):
        subscribe(stage, actors, lambda _: stage.prices[0])
    for customer, subscription, item in actors:
        stage.stripe("POST", f"/v1/customers/{customer}", name="Ada")
        stage.stripe("POST", f"/v1/customers/{customer}", name="Grace")
        stage.stripe(
            "POST",
            f"/v1/subscriptions/{subscription}",
            **{"items[0][id]": item, "items[0][price]": stage.prices[1]},
            **AT_ONCE,
        )
        stage.stripe("POST", f"/v1/subscriptions/{subscription}", cancel_at_period_end="true")
        stage.stripe("POST", f"/v1/subscriptions/{subscription}", cancel_at_period_end="false")
    stage.advance(8 * 86_400 + 5 * 3_600)
    events = stage.take()
    seconds = Counter((event["data"]["object"].get("id"), event["created"]) for event in events)
    assert sum(count for count in seconds.values() if count > 1) > len(events) / 2  # most of them tie

    before = reads(stage)

    async def apply():
        async with open_runtime(elsewhere) as one, open_runtime(elsewhere) as other:
            inboxes = [Inbox.of(runtime) for runtime in (one, other)]
            for start in range(0, len(events), 12):  # roughly as they happened, and all at once
                group = [Delivery(StripeEvent.of(event)) for event in events[start : start + 12]]
                data.shuffle(group)
                await asyncio.gather(*(data.choice(inboxes).record([each], source="webhook") for each in group))
            worker = Worker.of(inboxes[0], one)
            await replace(worker.queue, now=lambda: utc_now() + TIE_WAIT).drain()
            assert set((await one.database.read(count_open_events)).values()) == {0}
            asked = reads(stage) - before
            steps = reconcile.compare(one.database, one.require_stripe())
            return asked, [str(found) async for step in steps for found in step.differences]

    asked, differences = asyncio.run(apply())
    assert differences == []
    assert asked <= 0.05 * len(events), f"{asked} reads for {len(events)} events"


@both_databases
def test_what_differs_is_told_in_words_found_again_and_repaired(stage):
    customer = stage.stripe("POST", "/v1/customers", email="a@example.com", name="Ada")["id"]
    gone = stage.stripe("POST", "/v1/customers", email="b@example.com")["id"]
    stage.deliver([(event, 0) for event in stage.take()])
    assert stage.differences() == []

    stage.stripe("POST", f"/v1/customers/{customer}", **{"metadata[tier]": "gold"})
    stage.stripe("DELETE", f"/v1/customers/{gone}")
    new = stage.stripe("POST", "/v1/customers", email="c@example.com")["id"]
    stage.take()

    assert sorted(stage.differences()) == sorted(
        [
            f'customer {customer}: meta is {{}} here and {{"tier":"gold"}} at Stripe',
            f"customer {gone}: is gone at Stripe",
            f"customer {new}: is missing here",
        ]
    )

    stage.repair()
    assert stage.differences() == []


@postgres_later
def test_a_repair_also_mends_what_no_event_writes_again(stage):
    """Whose something is never changes at Stripe; in the copy it may be wrong all the same, after a fault of ours."""
    actors = []
    subscribe(stage, actors, lambda _: stage.prices[0])
    stage.deliver([(event, 0) for event in stage.take()])
    stage.settle()
    assert stage.differences() == []
    for statement in (
        "UPDATE subscription SET customer_id = 'cus_of_nobody'",
        "UPDATE subscription_item SET subscription_id = 'sub_of_nobody'",
        "UPDATE invoice SET customer_id = 'cus_of_nobody', subscription_id = 'sub_of_nobody'",
    ):
        stage.world._execute(statement)
    assert len(stage.differences()) == 2  # the subscription, its items with it, and the invoice
    stage.repair()
    assert stage.differences() == []
    assert [row["subscription_id"] for row in stage.world.rows("subscription_item")] == [actors[0][1]]


def test_events_that_nobody_delivered_are_found_once_and_the_oldest_first(stage):
    customer = stage.stripe("POST", "/v1/customers", email="a@example.com")["id"]
    for name in ("One", "Two", "Three"):
        stage.advance(3600)
        stage.stripe("POST", f"/v1/customers/{customer}", name=name)
    events = stage.take()

    found = stage.catch_up()
    rows = {row["id"]: row for row in stage.world.rows("event")}

    assert [event for event in found.missed if event in {each["id"] for each in events}] == [
        event["id"] for event in events[: len(found.missed)]
    ]
    assert {rows[event["id"]]["status"] for event in events} == {"applied"}  # the oldest first: none was stale
    assert stage.catch_up().missed == ()
    assert stage.world.rows("customer", id=customer)[0]["name"] == "Three"


def test_the_list_is_kept_page_by_page_so_that_memory_holds_no_span_and_a_failure_loses_no_page(stage):
    stage.catch_up()
    customer = stage.stripe("POST", "/v1/customers", email="a@example.com")["id"]
    stage.advance(60)
    for number in range(130):  # two pages within a minute
        stage.stripe("POST", f"/v1/customers/{customer}", name=f"n{number}")
        if number % 10 == 0:
            stage.advance(2)
    before = {row["id"] for row in stage.world.rows("event")}

    class LastPageMissing(Reader):
        """Stripe that is out of reach once the second page is asked for."""

        async def get(self, path, **params):
            answer = await super().get(path, **params)
            if "created" not in params:
                return answer
            whole = any(event["data"]["object"].get("name") == "n129" for event in answer.object["data"])
            if whole and not answer.object["has_more"]:
                raise StripeUnavailable("out of reach")
            return answer

    with pytest.raises(StripeUnavailable):
        stage.with_parts(lambda mirror, stripe: catch_up(Inbox(mirror), LastPageMissing(stripe)))
    delivered = {row["id"] for row in stage.world.rows("event")} - before
    assert 20 < len(delivered) < 131
    stage.catch_up()
    assert len(stage.world.rows("event", object_id=customer)) == 131
    assert {row["status"] for row in stage.world.rows("event", object_id=customer)} <= {"applied", "stale", "pending"}


def test_events_are_lost_when_nobody_read_for_over_thirty_days_but_not_when_the_time_is_moved(stage):
    stage.catch_up()
    customer = stage.stripe("POST", "/v1/customers", email="a@example.com")["id"]
    stage.advance(40 * 86_400)
    found = stage.catch_up()
    assert found.lost == 0
    assert stage.world.rows("event", object_id=customer)  # which is older by now than what Stripe keeps

    def long_ago(connection):
        states = table_for(SyncState)
        state = row_by_id(connection, SyncState, NAME)
        before = {"cursor": str(int(state.cursor) - 40 * 86_400), "completed_at": datetime.now(UTC) - timedelta(40)}
        connection.execute(sa.update(states).where(states.c.resource == NAME).values(before))

    stage.with_parts(lambda mirror, _: mirror.database.transaction(long_ago))
    assert 9 <= stage.catch_up().lost // 86_400 <= 10


def test_stripe_out_of_reach_leaves_the_place_where_the_next_reading_goes_on(stage):
    stage.catch_up()
    customer = stage.stripe("POST", "/v1/customers", email="a@example.com")["id"]
    reached = stage.world.rows("sync_state", resource="event")[0]["cursor"]
    unreachable = Settings.load(
        stripe_secret_key="sk_test_tests", stripe_api_base="http://127.0.0.1:9", database_url="sqlite://"
    )

    async def fail(mirror, _):
        stripe = Stripe(unreachable)
        try:
            await catch_up(Inbox(mirror), Reader(stripe, retry_after=()))
        finally:
            await stripe.close()

    with pytest.raises(Exception, match="Stripe"):
        stage.with_parts(fail)
    assert stage.world.rows("sync_state", resource="event")[0]["cursor"] == reached
    stage.catch_up()
    assert stage.world.rows("customer", id=customer)
