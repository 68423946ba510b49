"""`stripe listen`: the CLI opens a WebSocket, gets every event through it and forwards it to a developer's server.

The protocol has no documentation; this is what the CLI's public code speaks (https://github.com/stripe/stripe-cli,
pkg/websocket): a `webhook_event` goes out, an `event_ack` comes back at once, and a `webhook_response` when the
server behind the CLI has answered.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from gateway.sandbox.options import API_VERSION

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

SESSION = "_cli_session"
"""What `POST /v1/stripecli/sessions` leaves behind for the WebSocket that follows."""
_PROTOCOL = "stripecli-devproxy-v1"
_PATIENCE = 2.0
"""Seconds for the server behind the CLI: if it is down, the CLI says nothing at all."""


class ListenerConnection:
    """One open WebSocket of a CLI, and the webhook endpoint that stands for it as long as it is open."""

    def __init__(self, sandbox: Sandbox, socket: WebSocket, session: Obj) -> None:
        self._socket = socket
        self._forwards: bool = session["forwards"]
        self._answers: dict[str, asyncio.Queue[Obj]] = {}
        self.endpoint: Obj = {
            "object": "webhook_endpoint",
            "id": sandbox.new_id("we"),
            "url": f"stripe listen ({session['device'] or 'Stripe CLI'})",
            "api_version": API_VERSION,
            "enabled_events": ["*"],
            "metadata": {},
            "status": "enabled",
            "_secret": sandbox.deliveries.listening_secret(),
            "_listener": True,
        }

    async def carry(self, conversation: str, body: bytes, headers: dict[str, str]) -> Obj:
        """Send an event and wait until the CLI, or the server behind it, has taken it.

        Returns:
            The outcome of the attempt: `status`, `error`, `answer`. Whatever the server said is no error, because
            nothing that a CLI forwards is ever sent again.
        """
        message = {
            "type": "webhook_event",
            "event_payload": body.decode(),
            "http_headers": headers,
            "webhook_conversation_id": conversation,
            "webhook_id": self.endpoint["id"],
        }
        answers = self._answers[conversation] = asyncio.Queue()
        try:
            async with asyncio.timeout(_PATIENCE):
                # The CLI takes the event of the account's version or, with --latest, the other one. Here both are one.
                for version in (None, API_VERSION):
                    await self._socket.send_json({**message, "endpoint": {"api_version": version}})
                answer = await answers.get()
                while self._forwards and answer["type"] != "webhook_response":
                    answer = await answers.get()
        except TimeoutError:
            answer = {}
        except (WebSocketDisconnect, RuntimeError):
            return {"status": None, "error": "the CLI hung up", "answer": ""}
        finally:
            del self._answers[conversation]
        return {"status": answer.get("status"), "error": None, "answer": answer.get("body", "taken by the CLI")}

    async def read(self) -> None:
        """Hand the CLI's messages to those who wait for them, until it hangs up."""
        async for message in self._socket.iter_json():
            waiting = self._answers.get(message.get("webhook_conversation_id", ""))
            if waiting:
                waiting.put_nowait(message)


async def listen(socket: WebSocket) -> None:
    """Serve the WebSocket of one `stripe listen`."""
    sandbox: Sandbox = socket.app.state.sandbox
    session = sandbox.store.get(SESSION, socket.headers.get("websocket-id", ""))
    if session is None:
        # The CLI asks for a new session when it reads these very words.
        await socket.send_denial_response(JSONResponse({"error": {"message": "Unknown WebSocket ID."}}, 400))
        return
    await socket.accept(_PROTOCOL)
    connection = ListenerConnection(sandbox, socket, session)
    with sandbox.deliveries.listening(connection):
        await connection.read()


def listening_routes() -> list[WebSocketRoute]:
    """Return the route of the WebSocket that `POST /v1/stripecli/sessions` names."""
    return [WebSocketRoute("/subscribe", listen)]
