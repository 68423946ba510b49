"""The body of a request, read up to a limit."""

from starlette.types import Receive


async def read_body(receive: Receive, limit: int) -> bytes | None:
    """Return the body of a request.

    Args:
        receive: gives its parts.
        limit: what is longer is not read to its end.

    Returns:
        at most one part more than the limit; None when the connection broke within.
    """
    body, more = bytearray(), True
    while more and len(body) <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)
