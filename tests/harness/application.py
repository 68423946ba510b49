"""The application that uses the gateway: it receives the gateway's webhooks and checks their signatures."""

import base64
import json
from contextlib import contextmanager

from standardwebhooks.webhooks import Webhook
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from harness.gateway import listening, make_world, serve

OLD, NEW = ("whsec_" + base64.b64encode(bytes([place]) * 32).decode() for place in (1, 2))


class Application:
    """The endpoint of webhooks: it checks every signature with the library, and refuses when it is told to."""

    def __init__(self):
        self.taken, self.tries, self.status = [], 0, 200

    async def take(self, request):
        body = await request.body()
        self.tries += 1
        for secret in (OLD, NEW):
            Webhook(secret).verify(body, dict(request.headers))
        if self.status == 200:
            self.taken.append((request.headers["webhook-id"], json.loads(body)))
        return Response(status_code=self.status)

    def types(self, customer_id=None):
        return [
            body["type"] for _, body in self.taken if customer_id is None or body["data"]["customerId"] == customer_id
        ]

    def decisions(self, customer_id):
        """What `access.changed` has said about a customer, in order."""
        return [
            (body["data"]["allowed"], body["data"]["reason"])
            for _, body in self.taken
            if body["type"] == "access.changed" and body["data"]["customerId"] == customer_id
        ]


@contextmanager
def listening_application(database_url, **options):
    """A gateway that tells an application, and the application."""
    application = Application()
    listener, url = listening()
    with (
        serve(Starlette(routes=[Route("/hooks", application.take, methods=["POST"])]), listener),
        make_world(database_url, outbound_endpoints=f"{url}/hooks {NEW} {OLD}", **options) as world,
    ):
        yield world, application
