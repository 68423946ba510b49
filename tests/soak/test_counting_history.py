"""What a hundred callers were told who consume and hold one customer's tokens at a time, on three processes that are
killed, stand still and start again. The checker knows nothing of the gateway's inside:

- each first answer to a use shows the counter after it, so that these uses are in one order: none overlaps another, and
  what was answered before another began comes before it;
- no answer shows less than what surely was used and held while it was made, nor more than what may have been;
- nothing is admitted for which there was surely no room, and nothing is refused for which there surely was: a hold that
  kept its amount for ever would be found here;
- in the end each key counted once, and no customer has used more than the limit.

`HISTORY` says for how many seconds it goes on.
"""

import asyncio
import os
import random
import signal
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

import httpx
import pytest
import sqlalchemy as sa

from gateway.models.metering import UsageRecord
from harness.command import Command
from harness.databases import sqlite_later
from harness.gateway import SECRET, SERVICE, SERVICE_TOKEN, connected
from harness.rows import customer, item, product, put, subscription
from harness.waiting import answering, free_port

SECONDS = float(os.environ.get("HISTORY", "2"))
CALLERS, PROCESSES = 100, 3
LIMIT, ROUND, HELD_SECONDS = 300, 2.0, 1
"""Each round has a customer of its own, so that the limit is met in each."""
SLACK = 0.25  # between the clock of business rules and ours, and for a process that stands still
END = datetime.fromtimestamp(int(time.time()) + 86_400 * 300, UTC)
COUNT = "count { used held } userErrors { code }"
CONSUME = f"mutation($i: ConsumeInput!) {{ consume(input: $i) {{ {COUNT} }} }}"
HOLD = f"mutation($i: HoldInput!) {{ hold(input: $i) {{ hold {{ id status }} {COUNT} }} }}"
COMMIT = f"mutation($i: CommitHoldInput!) {{ commitHold(input: $i) {{ hold {{ status }} {COUNT} }} }}"
RELEASE = f"mutation($i: ReleaseHoldInput!) {{ releaseHold(input: $i) {{ hold {{ status }} {COUNT} }} }}"
EVER = float("inf")


@dataclass
class Event:
    """Something that was asked, from when it was sent first to when it was answered.

    Attributes:
        kind: consume, hold, commit or release.
        amount: how much is consumed, held or committed.
        begun: when it was sent first.
        ended: when it was answered.
        admitted: whether it was done.
        state: what the answer says is used and held.
        surely_first: whether it was sent once, so that the answer shows the state right after it.
        hold: of a commit or release its hold.
        ending: of a hold its commit or release, if there was one.
    """

    kind: str
    amount: int
    begun: float
    ended: float = EVER
    admitted: bool = False
    state: tuple[int, int] | None = None
    surely_first: bool = False
    hold: "Event | None" = None
    ending: "Event | None" = None

    @property
    def is_use(self) -> bool:
        return self.kind in {"consume", "commit"} and self.admitted

    def kept_surely(self, start: float, end: float) -> bool:
        """Whether a hold surely kept its amount all the time between two moments."""
        over = min(self.begun + HELD_SECONDS - SLACK, self.ending.begun if self.ending else EVER)
        return self.admitted and self.ended <= start and over >= end

    def kept_perhaps(self, start: float, end: float) -> bool:
        """Whether a hold may have kept its amount at a moment between two."""
        done = self.ending.ended if self.ending and self.ending.admitted else EVER
        return self.admitted and self.begun <= end and min(self.ended + HELD_SECONDS + SLACK, done) >= start


@dataclass
class History:
    """What happened to one customer."""

    events: list[Event] = field(default_factory=list)

    def faults(self) -> list[str]:
        """Return each answer that must not have been."""
        return [*self._in_order(), *(fault for each in self.events if each.state for fault in self._bounds(each))]

    def _in_order(self) -> list[str]:
        uses = sorted((e for e in self.events if e.is_use and e.surely_first and e.amount), key=lambda e: e.state[0])
        found, latest_begun = [], float("-inf")
        for before, after in pairwise(uses):
            if after.state[0] - after.amount < before.state[0]:
                found.append(f"{after} overlaps {before}")
        for each in uses:
            if each.ended < latest_begun:
                found.append(f"{each} was answered before what comes earlier began")
            latest_begun = max(latest_begun, each.begun)
        return found

    def _bounds(self, each: Event) -> list[str]:
        others = [e for e in self.events if e is not each and e is not each.hold]
        holds = [e for e in others if e.kind == "hold"]
        used_surely = sum(e.amount for e in others if e.is_use and e.ended <= each.begun)
        used_perhaps = sum(e.amount for e in others if e.is_use and e.begun <= each.ended)
        held_surely = sum(e.amount for e in holds if e.kept_surely(each.begun, each.ended))
        held_perhaps = sum(e.amount for e in holds if e.kept_perhaps(each.begun, each.ended))
        mine = each.amount if each.is_use else 0
        used, held = each.state
        found = []
        if not used_surely + mine <= used <= used_perhaps + mine:
            found.append(f"{each} shows {used} used, not {used_surely + mine} to {used_perhaps + mine}")
        kept = each.amount if each.kind == "hold" and each.admitted else 0
        own = each.hold.amount if each.hold else 0  # its own hold, while it is refused
        if not held_surely <= held <= held_perhaps + kept + own:
            found.append(f"{each} shows {held} held, not {held_surely} to {held_perhaps + kept + own}")
        wanted = each.amount if each.kind in {"consume", "hold"} or not each.admitted else 0
        if each.admitted and wanted and used_surely + held_surely + wanted > LIMIT:
            found.append(f"{each} was admitted, and there was no room")
        if not each.admitted and used_perhaps + held_perhaps + wanted <= LIMIT:
            found.append(f"{each} was refused, and there was room")
        if used + held > LIMIT:
            found.append(f"{each} shows more than the limit")
        return found


def test_the_checker_finds_what_must_not_be():
    def done(kind, amount, begun, ended, state, *, admitted=True, **more):
        return Event(kind, amount, begun, ended, admitted, state, surely_first=True, **more)

    first = done("consume", 200, 0.0, 0.1, (200, 0))
    hold = done("hold", 100, 0.2, 0.3, (200, 100))
    refused = done("consume", 50, 0.4, 0.5, (200, 100), admitted=False)
    last = done("consume", 100, 2.0, 2.1, (300, 0))
    assert History([first, hold, refused, last]).faults() == []
    for wrong in (
        done("consume", 50, 0.4, 0.5, (250, 50)),  # there is no room while the hold lasts
        done("consume", 50, 1.7, 1.8, (200, 100), admitted=False),  # it keeps its amount for ever
        done("consume", 0, 0.4, 0.5, (0, 100)),  # what was used is forgotten
        done("consume", 150, 0.0, 0.2, (250, 0)),  # two at once, each admitted
        done("consume", 100, 0.6, 0.7, (100, 100)),  # and not after what was answered before
    ):
        assert History([first, hold, refused, wrong]).faults(), wrong


class Game:
    """Three processes on one database, and a hundred callers."""

    def __init__(self, url: str, folder: str, seed: int) -> None:
        self.histories: dict[int, History] = {}
        self._url, self._folder = url, folder
        self._rng = random.Random(seed)  # noqa: S311 - the same choices each time
        self._lives = [self._born(free_port()) for _ in range(PROCESSES)]
        self._began, self._count = time.monotonic(), 0

    def _born(self, port: int) -> tuple[int, Command]:
        environment = {
            "DATABASE_URL": self._url,
            "STRIPE_SECRET_KEY": "sk_test_tests",
            "STRIPE_API_BASE": "http://127.0.0.1:9",
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "GATEWAY_SERVICE_TOKEN": SERVICE_TOKEN,
            "GATEWAY_EVENT_CATCH_UP_MINUTES": "0",
        }
        return port, Command("serve", "--port", str(port), cwd=self._folder, environment=environment)

    def _wait_for(self, life: tuple[int, Command]) -> None:
        answering(f"http://127.0.0.1:{life[0]}/healthz", life[1])

    async def play(self, seconds: float) -> None:
        """Play for so long."""
        for life in self._lives:
            self._wait_for(life)
        self._began = time.monotonic()
        limits = httpx.Limits(max_connections=None)
        clients = httpx.AsyncClient(timeout=10, headers=SERVICE, limits=limits)
        async with clients as self._client, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._disturb(seconds))
            for _ in range(CALLERS):
                tasks.create_task(self._call(seconds))

    def close(self) -> None:
        """End the processes."""
        for _, command in self._lives:
            command.kill()

    async def _disturb(self, seconds: float) -> None:
        """Kill a process in the middle of whatever it does and start it again, or let it stand still for a while."""
        pause = min(3.0, seconds / 3)
        while time.monotonic() < self._began + seconds - pause:
            await asyncio.sleep(pause)
            place = self._rng.randrange(PROCESSES)
            port, command = self._lives[place]
            if self._rng.random() < 0.6:
                command.kill()
                await asyncio.to_thread(command.wait, 10)
                self._lives[place] = self._born(port)
            else:
                command.send_signal(signal.SIGSTOP)
                await asyncio.sleep(0.1)
                command.send_signal(signal.SIGCONT)

    async def _call(self, seconds: float) -> None:
        while (now := time.monotonic()) < self._began + seconds:
            round_ = int((now - self._began) / ROUND)
            history = self.histories.setdefault(round_, History())
            await self._use(f"user_{round_}", history)
            await asyncio.sleep(self._rng.uniform(0.2, 0.6))

    async def _use(self, user: str, history: History) -> None:
        """Consume something, or hold it and see what comes of the work."""
        amount = self._rng.randint(1, 20)
        given = {"externalId": user, "feature": "tokens", "amount": amount, "idempotencyKey": self._key()}
        if self._rng.random() < 0.5:
            await self._ask(history, CONSUME, given, "consume", amount)
            return
        event, answer = await self._ask(history, HOLD, {**given, "seconds": HELD_SECONDS}, "hold", amount)
        if not event.admitted or self._rng.random() < 0.2:
            return  # who holds it has died
        await asyncio.sleep(self._rng.uniform(0, 0.3))
        hold = {"holdId": answer["hold"]["id"]}
        if self._rng.random() < 0.3:
            await self._ask(history, RELEASE, hold, "release", 0, event)
        else:
            actual = self._rng.randint(0, amount)
            await self._ask(history, COMMIT, {**hold, "actual": actual}, "commit", actual, event)

    def _key(self) -> str:
        self._count += 1
        return f"key-{self._count}"

    async def _ask(self, history, document: str, given: dict, kind: str, amount: int, hold: Event | None = None):
        """Ask until there is an answer, of whichever process."""
        event = Event(kind, amount, time.monotonic(), hold=hold)
        history.events.append(event)
        if hold is not None:
            hold.ending = event
        body, tries = {"query": document, "variables": {"i": given}}, 0
        while True:
            port, _ = self._rng.choice(self._lives)
            tries += 1
            try:
                answer = (await self._client.post(f"http://127.0.0.1:{port}/graphql", json=body)).json()
            except (httpx.TransportError, ValueError):
                await asyncio.sleep(0.05)
                continue
            if answer.get("errors"):
                assert answer["errors"][0]["extensions"]["code"] == "DATABASE_UNAVAILABLE", answer
                continue
            break
        ((found),) = answer["data"].values()
        event.ended, event.surely_first = time.monotonic(), tries == 1
        event.admitted = not found["userErrors"]
        assert event.admitted or found["userErrors"] == [{"code": "LIMIT_REACHED"}], found
        event.state = found["count"]["used"], found["count"]["held"]
        return event, found


def _fill(url: str, rounds: int) -> None:
    """Write the product, and a customer with a subscription for each round."""
    with connected(url) as connection:
        meta = {"features": "tokens", "limit_tokens": str(LIMIT), "use_tokens": "counter"}
        put(connection, product("pro", meta=meta))
        for each in range(rounds):
            its = item(f"si_{each}", "month", "pro", subscription_id=f"sub_{each}")
            its.current_period_start, its.current_period_end = datetime(2026, 1, 1, tzinfo=UTC), END
            held = subscription(f"sub_{each}", customer_id=f"cus_{each}")
            put(connection, customer(f"cus_{each}", f"user_{each}"), held, its)


@sqlite_later
@pytest.mark.timeout(2 * int(SECONDS) + 240)
async def test_no_more_is_admitted_than_the_limit_and_each_key_counts_once(database_url, tmp_path):
    _fill(database_url, int(SECONDS / ROUND) + 1)
    game = Game(database_url, str(tmp_path), seed=17)
    try:
        await game.play(SECONDS)
    finally:
        game.close()
    counts = [0, 0]
    for number, history in game.histories.items():
        assert history.faults() == []
        query = sa.select(sa.func.sum(UsageRecord.value)).where(UsageRecord.customer_id == f"cus_{number}")
        with connected(database_url) as connection:
            used = connection.execute(query).scalar() or 0
        assert used == sum(each.amount for each in history.events if each.is_use) <= LIMIT
        counts = [counts[said] + sum(each.admitted != said for each in history.events) for said in (False, True)]
    print(f"{counts[0]} admitted, {counts[1]} refused")  # noqa: T201 - `make soak` shows it
    assert min(counts) > 3
