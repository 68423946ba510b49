"""The sandbox's own levers under `/_sandbox/`: what Stripe does not have, for tests and scripts in any language.

Bodies are JSON and must say so: a web page of somebody else cannot send that without being asked, and so cannot pull a
lever of a sandbox on the developer's machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response
from starlette.routing import Route

from gateway.sandbox import fixtures
from gateway.sandbox.api.pipeline import time_headers
from gateway.sandbox.core.errors import StripeError, invalid
from gateway.sandbox.resources.webhook_endpoints import roll_secret
from gateway.sandbox.scenes import SCENES, play

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


async def state(sandbox: Sandbox, _: Request, __: Obj) -> Any:
    """Return how many objects of each kind there are, the time, and what was asked for that is not there."""
    counts = {kind: sandbox.store.count(kind) for kind in sandbox.store.kinds() if kind[0] != "_"}
    return {"now": sandbox.now(), "objects": counts, "unknown_paths": dict(sandbox.unknown_paths.most_common())}


async def reset(sandbox: Sandbox, _: Request, __: Obj) -> Any:
    """Begin again, as at the first start."""
    sandbox.reset()
    return {"reset": True}


async def read_clock(sandbox: Sandbox, _: Request, __: Obj) -> Any:
    """Return the time, how far it is ahead of the machine's, and when the next thing is due."""
    return {"now": sandbox.now(), "ahead": sandbox.clock.ahead, "next_due": sandbox.clock.next_due()}


async def advance(sandbox: Sandbox, _: Request, body: Obj) -> Any:
    """Move the clock `to` a time (Unix seconds), `by` seconds or to the `next` thing that is due."""
    if body.get("next"):
        target = sandbox.clock.next_due() or sandbox.now()
    elif "by" in body:
        target = sandbox.now() + int(body["by"])
    elif "to" in body:
        target = int(body["to"])
    else:
        raise invalid("Say `to` (Unix seconds), `by` (seconds) or `next`: true.")
    if target < sandbox.now():
        raise invalid("The clock only goes forward.", "to")
    jobs = await sandbox.clock.advance_async(target)
    return {"now": sandbox.now(), "jobs": jobs, "next_due": sandbox.clock.next_due()}


async def scenes(_: Sandbox, __: Request, ___: Obj) -> Any:
    """Return the names of the scenes, and what happens in each."""
    return {name: scene.hint for name, scene in SCENES.items()}


async def play_scene(sandbox: Sandbox, request: Request, body: Obj) -> Any:
    """Play a scene about a `customer`, or about a new one."""
    base_url = sandbox.options.public_url or str(request.base_url).rstrip("/")
    return await play(sandbox, request.path_params["name"], base_url, body.get("customer"))


async def chaos(sandbox: Sandbox, request: Request, body: Obj) -> Any:
    """Read or change what goes wrong; see `chaos.FAULTS`."""
    return sandbox.chaos.configure(body) if request.method == "POST" else sandbox.chaos.settings()


async def deliveries(sandbox: Sandbox, request: Request, _: Obj) -> Any:
    """Return webhook deliveries with their attempts, newest first; `event`, `endpoint` and `status` filter."""
    filters = {
        name: request.query_params[name] for name in ("event", "endpoint", "status") if name in request.query_params
    }
    return {"data": sandbox.deliveries.find(**filters)}


async def resend(sandbox: Sandbox, request: Request, body: Obj) -> Any:
    """Deliver an event again, to one `webhook_endpoint` or to all that listen to it."""
    event = sandbox.need("event", request.path_params["id"])
    return {"data": sandbox.deliveries.redeliver(event, body.get("webhook_endpoint"))}


async def roll(sandbox: Sandbox, request: Request, body: Obj) -> Any:
    """Give an endpoint a new secret; the old one stays valid for `expires_in` seconds (a day)."""
    rolled = roll_secret(sandbox, request.path_params["id"], int(body.get("expires_in", 24 * 3600)))
    return {"id": rolled["id"], "secret": rolled["secret"]}


async def export(sandbox: Sandbox, _: Request, __: Obj) -> Any:
    """Return everything the sandbox holds, as a file for `seed` or for `import`."""
    return fixtures.export(sandbox)


async def load(sandbox: Sandbox, _: Request, body: Obj) -> Any:
    """Add an export or a file of `stripe fixtures` to what is there."""
    try:
        return {"loaded": fixtures.load(sandbox, body)}
    except ValueError as error:
        raise invalid(str(error)) from None


def control_routes() -> list[Route]:
    """Return the levers, each with its paths and methods."""
    levers: list[tuple[str, list[str], Any]] = [
        ("/state", ["GET"], state),
        ("/reset", ["POST"], reset),
        ("/clock", ["GET"], read_clock),
        ("/clock/advance", ["POST"], advance),
        ("/scenes", ["GET"], scenes),
        ("/scenes/{name}", ["POST"], play_scene),
        ("/chaos", ["GET", "POST"], chaos),
        ("/deliveries", ["GET"], deliveries),
        ("/events/{id}/resend", ["POST"], resend),
        ("/webhook_endpoints/{id}/roll_secret", ["POST"], roll),
        ("/export", ["GET"], export),
        ("/import", ["POST"], load),
    ]
    return [Route(f"/_sandbox{path}", _endpoint(lever), methods=methods) for path, methods, lever in levers]


def _endpoint(lever: Any) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            result, status = await lever(request.app.state.sandbox, request, await _body(request)), 200
        except StripeError as error:
            result, status = error.body(), error.status
        content = orjson.dumps(result, option=orjson.OPT_INDENT_2)
        return Response(content, status, time_headers(request.app.state.sandbox), "application/json")

    return answer


async def _body(request: Request) -> Obj:
    if request.method != "POST":
        return {}
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise StripeError("Send JSON, with `Content-Type: application/json`.", status=415)
    try:
        body = orjson.loads(await request.body() or b"{}")
    except orjson.JSONDecodeError as error:
        raise invalid(f"The body is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise invalid("The body must be a JSON object.")
    return body
