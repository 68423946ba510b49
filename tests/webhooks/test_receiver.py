"""Deliveries that come faster than they can be recorded."""

import asyncio
import json
import time
import uuid

from gateway.http.request import Request
from gateway.settings import Settings
from gateway.webhooks.inbox import Inbox
from gateway.webhooks.outcomes import EVENTS
from gateway.webhooks.receiver import Receiver
from gateway.webhooks.route import PATH, WebhookRoute
from harness.databases import both_databases, runtime_at
from harness.gateway import SECRET, stripe_signature

LIMIT = 4


def a_delivery():
    """A signed delivery of a new event, as the server hands it over."""
    event = {"id": f"evt_{uuid.uuid4().hex}", "object": "event", "type": "a.b", "created": int(time.time())}
    body = json.dumps({**event, "data": {"object": {"id": "x_1"}}}).encode()
    headers = [(b"stripe-signature", stripe_signature(body).encode())]
    return Request("POST", PATH.encode(), headers, body=body, client=None, scheme="http")


@both_databases
async def test_more_deliveries_than_can_wait_are_told_to_come_again_at_once_and_those_that_wait_are_served(
    database_url,
):
    runtime = runtime_at(database_url)
    receiver = Receiver(Inbox(runtime.mirror), queue_limit=LIMIT)
    route = WebhookRoute(Settings.load(stripe_webhook_secrets=SECRET), receiver)
    answers, served = [], asyncio.Event()

    def respond(answer):
        answers.append(answer)
        if len(answers) == 20:
            served.set()

    for _ in range(20):  # before the first is recorded
        assert route.take(a_delivery(), respond)
    assert [answer.status for answer in answers] == [503] * (20 - LIMIT)
    assert all(int(dict(answer.headers)[b"retry-after"]) > 0 for answer in answers)

    serving = asyncio.create_task(receiver.run())
    await asyncio.wait_for(served.wait(), 20)
    assert [answer.status for answer in answers[-LIMIT:]] == [200] * LIMIT
    assert len(await runtime.database.read(lambda connection: connection.execute(EVENTS.select()).all())) == LIMIT
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    await runtime.close()
