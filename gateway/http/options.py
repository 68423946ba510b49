"""How `gateway serve` and `gateway dev` run uvicorn. Classes are texts: who starts workers imports none of them."""

from typing import Any

MAX_MESSAGE_BYTES = 100 * 1024
"""The longest message that a WebSocket takes."""

OPTIONS: dict[str, Any] = {
    "http": "gateway.http.server:HardenedHttpProtocol",
    "ws": "gateway.http.server_websocket:HardenedWebSocketProtocol",
    "ws_max_size": MAX_MESSAGE_BYTES,
    "ws_per_message_deflate": False,  # the messages are short, and a compressor is memory for each connection
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,  # the application reads them, of declared proxies alone
    "timeout_keep_alive": 75,  # longer than proxies keep a connection (60 s), so that none sends into a closed one
}
