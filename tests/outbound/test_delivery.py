"""Delivery to several endpoints: each has its own pace."""

import asyncio
import contextlib
from datetime import UTC, datetime
from functools import partial

import sqlalchemy as sa
from pydantic import SecretStr

from gateway.db.database import Database
from gateway.db.notifications import Notifications
from gateway.outbound.delivery import SLOTS, WAITING, WebhookDispatcher, _pass_over, _save
from gateway.outbound.outbox import DELIVERIES, MESSAGES, append, removed_endpoints
from gateway.settings.values import OutboundEndpoint
from harness.databases import both_databases
from harness.waiting import eventually_async

URL = "http://127.0.0.1:9/"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLwSw"


class Receiver:
    """Awaits `answer()`, then says `status` and `rest`. `all_taken` is set when it has accepted `count` messages."""

    def __init__(self, answer, count, rest=b"Content-Length: 0\r\n", status=b"200 OK"):
        self.answer, self.count, self.rest, self.status, self.cookies = answer, count, rest, status, []
        self.taken, self.all_taken, self.connections = [], asyncio.Event(), []

    async def serve(self, reader, writer):
        self.connections.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                headers = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
                await reader.readexactly(int(headers["content-length"]))
                await self.answer()
                self.taken.append(headers["webhook-id"])
                self.cookies += [headers["cookie"]] if "cookie" in headers else []
                writer.write(b"HTTP/1.1 %b\r\n%b\r\n" % (self.status, self.rest))
                if len(self.taken) == self.count:
                    self.all_taken.set()


@contextlib.asynccontextmanager
async def delivering(database_url, *receivers, customers=None, **options):
    """Deliver `count` messages, each of a customer of its own or of one of so many, to each receiver while the block
    runs; the database.
    """
    async with contextlib.AsyncExitStack() as stack:
        urls = []
        for receiver in receivers:
            server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
            stack.callback(server.close)
            host, port = server.sockets[0].getsockname()
            urls.append(f"http://{host}:{port}/")
        database = Database(database_url, endpoints=urls, on_commit=Notifications())
        stack.push_async_callback(database.close)
        await fill(database, urls, receivers[0].count, customers or receivers[0].count)
        endpoints = [OutboundEndpoint(url, (SecretStr(SECRET),)) for url in urls]
        dispatcher = asyncio.create_task(WebhookDispatcher(database, endpoints, **options).run())
        stack.callback(dispatcher.cancel)
        yield database
        dispatcher.cancel()
        await asyncio.gather(dispatcher, return_exceptions=True)
        for writer in (writer for receiver in receivers for writer in receiver.connections):
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def fill(database, urls, count, customers):
    """Write messages, of one customer after the other, with a delivery to each endpoint."""
    now = datetime.now(UTC)
    common = {"type": "invoice.paid", "payload": "{}", "created": now}
    messages = [
        {"id": n, "message_id": f"msg_{n}", "customer_id": f"cus_{n % customers}", **common} for n in range(count)
    ]
    state = {"status": "pending", "attempts": 0, "next_attempt_at": now}
    deliveries = [
        {"id": n, "customer_id": f"cus_{n % customers}", "endpoint": url, **state} for n in range(count) for url in urls
    ]

    def write(connection):
        connection.execute(sa.insert(MESSAGES), messages)
        connection.execute(sa.insert(DELIVERIES), deliveries)

    await database.transaction(write)


@both_databases
async def test_an_endpoint_that_does_not_answer_slows_no_other(database_url):
    stuck = asyncio.Event()
    slow, fast = Receiver(stuck.wait, 3 * SLOTS), Receiver(partial(asyncio.sleep, 0), 3 * SLOTS)
    async with delivering(database_url, slow, fast):
        await asyncio.wait_for(fast.all_taken.wait(), 20)
        assert slow.taken == []
        stuck.set()
        await asyncio.wait_for(slow.all_taken.wait(), 20)
    assert sorted(fast.taken) == sorted(slow.taken) == sorted(f"msg_{n}" for n in range(3 * SLOTS))


@both_databases
async def test_later_messages_of_a_customer_wait_unseen_until_the_one_before_has_ended(database_url):
    stuck = asyncio.Event()
    receiver = Receiver(stuck.wait, 60)
    async with delivering(database_url, receiver, customers=3) as database:

        async def waiting():
            query = sa.select(DELIVERIES.c.id).where(DELIVERIES.c.next_attempt_at == WAITING)
            return sorted(await database.read(lambda connection: connection.execute(query).scalars().all()))

        await eventually_async(waiting, list(range(3, 60)), 20)
        assert receiver.taken == []
        stuck.set()
        await asyncio.wait_for(receiver.all_taken.wait(), 30)
    for customer in range(3):
        mine = [each for each in receiver.taken if int(each.removeprefix("msg_")) % 3 == customer]
        assert mine == [f"msg_{n}" for n in range(customer, 60, 3)]


@both_databases
async def test_who_has_a_message_wait_and_who_ends_the_one_before_leave_none_behind(database_url):
    database = Database(database_url, endpoints=[URL], on_commit=Notifications())
    await fill(database, [URL], 2, 1)
    queue = WebhookDispatcher(database, [OutboundEndpoint(URL, ())]).queue(OutboundEndpoint(URL, ()), None)
    (claim,) = await queue.claim()
    ended = {"status": "delivered", "next_attempt_at": None, "attempts": 1}
    await asyncio.gather(
        *(database.transaction(lambda connection: _pass_over(connection, URL, [1])) for _ in range(4)),
        database.transaction(partial(_save, queue.holds(claim), claim.rows[0], ended)),
        *(database.transaction(lambda connection: _pass_over(connection, URL, [1])) for _ in range(4)),
    )
    assert [[row["id"] for row in each.rows] for each in await queue.claim()] == [[1]]
    await database.close()


async def test_a_receiver_that_answers_too_late_is_tried_again(sqlite_url):
    waits = iter([3600.0, 0.0])
    receiver = Receiver(lambda: asyncio.sleep(next(waits)), 1)
    async with delivering(sqlite_url, receiver, timeout_seconds=0.3) as database:
        await asyncio.wait_for(receiver.all_taken.wait(), 20)
        (row,) = await database.read(lambda connection: connection.execute(sa.select(DELIVERIES)).all())
    assert receiver.taken == ["msg_0"]
    assert row.attempts >= 1


async def test_of_an_answer_the_status_counts_and_nothing_else_is_kept(sqlite_url):
    head = b"Set-Cookie: a=1\r\nContent-Encoding: gzip\r\nContent-Length: 9999999999\r\n\r\n"
    receiver = Receiver(lambda: asyncio.sleep(0), 2, head + bytes(200_000))  # of a body without an end, nor any gzip
    async with delivering(sqlite_url, receiver, customers=1) as database:
        await asyncio.wait_for(receiver.all_taken.wait(), 20)
        query = sa.select(DELIVERIES.c.id).where(DELIVERIES.c.status == "delivered").order_by(DELIVERIES.c.id)
        read = partial(database.read, lambda connection: connection.execute(query).scalars().all())
        await eventually_async(read, [0, 1])
    assert receiver.cookies == []


async def test_a_redirect_to_no_host_is_a_failed_try_like_any_other(sqlite_url):
    nowhere = b"Location: http://xn--a/\r\nContent-Length: 0\r\n"
    receiver = Receiver(lambda: asyncio.sleep(0), 1, nowhere, b"302 Found")
    async with delivering(sqlite_url, receiver) as database:
        query = sa.select(DELIVERIES.c.status, DELIVERIES.c.attempts, DELIVERIES.c.last_error)
        read = partial(database.read, lambda connection: tuple(connection.execute(query).one()))
        await eventually_async(read, ("pending", 1, "InvalidCodepoint"))


async def test_a_message_that_cannot_be_delivered_holds_nobody_up_who_is_no_customer(sqlite_url):
    database = Database(sqlite_url, endpoints=[URL], on_commit=Notifications())

    def expire(connection):
        for session in ("cs_1", "cs_2", "cs_3"):
            append(connection, "cus_1" if session == "cs_3" else None, "checkout.expired", {}, once=session)
        append(connection, "cus_1", "checkout.expired", {}, once="cs_4")

    await database.transaction(expire)
    endpoint = OutboundEndpoint(URL, ())
    claims = await WebhookDispatcher(database, [endpoint]).queue(endpoint, None).claim()
    assert sorted(claim.rows[0]["id"] for claim in claims) == [1, 2, 3]
    await database.close()


async def test_messages_to_an_endpoint_that_the_settings_name_no_more_are_told(sqlite_url):
    database = Database(sqlite_url, endpoints=[], on_commit=Notifications())
    await fill(database, [URL], 2, 1)
    assert await database.read(partial(removed_endpoints, [URL])) == {}
    assert await database.read(partial(removed_endpoints, ["http://127.0.0.1:9/other"])) == {URL: 2}
    assert await database.read(partial(removed_endpoints, [])) == {URL: 2}
    await database.close()
