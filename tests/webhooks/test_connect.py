"""Connected accounts that the gateway serves: their objects stand in the copy beside our own."""

import json
import time
import uuid

import httpx
import pytest

from gateway.mirror import reconcile
from gateway.runtime import compose
from gateway.sandbox import SandboxOptions, create_sandbox
from gateway.settings import Settings
from gateway.webhooks.event import Delivery, StripeEvent
from gateway.webhooks.inbox import Inbox
from harness.gateway import fill_mirror, listening, serve

FRIEND = "acct_friend"


class Two:
    """Our own account and a connected one: an offline Stripe for each, chosen by the `Stripe-Account` header."""

    def __init__(self):
        self.own, self.friend = (create_sandbox(SandboxOptions(catalog=False)) for _ in range(2))

    async def __call__(self, scope, receive, send):
        theirs = (b"stripe-account", FRIEND.encode()) in scope.get("headers", ())
        await (self.friend if theirs else self.own)(scope, receive, send)


@pytest.fixture
def friend():
    """A client that speaks for the connected account."""
    listener, url = listening()
    headers = {"Authorization": "Bearer sk_test_x", "Stripe-Account": FRIEND}
    with (
        serve(Two(), listener, date_header=False, lifespan="off"),
        httpx.Client(base_url=url, headers=headers) as client,
    ):
        yield client


async def test_reconciling_reads_each_account_and_takes_nobodys_objects_for_gone(friend, sqlite_url):
    settings = Settings.load(
        stripe_secret_key="sk_test_x", stripe_api_base=str(friend.base_url), database_url=sqlite_url
    )
    await fill_mirror(settings)
    runtime = compose(settings)
    stripe = runtime.require_stripe()
    theirs = friend.post("/v1/products", data={"name": "Theirs"}).json()
    event = {"id": f"evt_{uuid.uuid4().hex}", "object": "event", "type": "product.created", "created": int(time.time())}
    body = json.dumps({**event, "account": FRIEND, "data": {"object": theirs}})
    await Inbox(runtime.mirror, {FRIEND}).record([Delivery(StripeEvent.parse(body), "1")], source="webhook")

    async def differences():
        return [
            each
            async for step in reconcile.compare(runtime.database, stripe, {FRIEND}, second_look=0)
            for each in step.differences
        ]

    assert await differences() == []
    friend.post(f"/v1/products/{theirs['id']}", data={"unit_label": "seat"})
    (found,) = await differences()
    assert str(found).startswith(f'product {theirs["id"]}: unit_label is null here and "seat" at Stripe')
    await reconcile.repair(runtime.mirror, stripe, [found])
    assert await differences() == []
    friend.delete(f"/v1/products/{theirs['id']}")
    assert [each.finding for each in await differences()] == [reconcile.GONE]
    await runtime.close()
