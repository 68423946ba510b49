"""What `stripe listen` asks for before it opens its WebSocket (private API, no documentation).

Source: the CLI's public code, https://github.com/stripe/stripe-cli (pkg/stripeauth).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.routing import route
from gateway.sandbox.events.cli_listener import SESSION
from gateway.sandbox.options import API_VERSION

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

_RECONNECT = 4 * 3600


@route("POST", "/v1/stripecli/sessions", params="*")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Tell the CLI where its WebSocket is and what events are signed with."""
    session = {
        "object": SESSION,
        "id": sandbox.new_id("cliws"),
        "device": request.params.get("device_name", ""),
        "forwards": any(name.startswith("forward_") for name in request.params),
    }
    sandbox.store.put(session)
    return {
        "default_version": API_VERSION,
        "display_connect_filter_warning": False,
        "latest_version": API_VERSION,
        "reconnect_delay": _RECONNECT,
        "secret": sandbox.deliveries.listening_secret(),
        "websocket_authorized_feature": "webhooks",
        "websocket_id": session["id"],
        "websocket_url": request.base_url.replace("http", "ws", 1) + "/subscribe",
    }
