"""Verifies the gateway's webhooks, which are signed by the Standard Webhooks specification.

https://www.standardwebhooks.com; any of its libraries does the same. This one needs nothing installed.
"""

import hmac
import json
import time
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

TOLERANCE_SECONDS = 300.0
"""How old or early a message may be, as the specification proposes."""


class WebhookError(ValueError):
    """A request that is no message of the gateway's, or too old: answer 400, and do nothing."""


@dataclass(frozen=True)
class Message:
    """A verified message.

    Attributes:
        id: the same whenever the message is sent again: what was done under it is not done anew.
        type: such as `access.changed`.
        timestamp: when it happened, by RFC 3339.
        data: of whom and what.
    """

    id: str
    type: str
    timestamp: str
    data: dict[str, Any]


def verify_webhook(
    body: bytes,
    headers: Mapping[str, str],
    *secrets: str,
    tolerance_seconds: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> Message:
    """Return the message of a request.

    Args:
        body: exactly the bytes that came.
        headers: of the request, in any case.
        secrets: `whsec_…`; while one is rotated, both.
        tolerance_seconds: how old or early it may be.
        now: the present time; by default the machine's.

    Raises:
        WebhookError: it was not signed with one of the secrets, or at another time.
        ValueError: a secret is none.
    """
    keys = [_key(secret) for secret in secrets]
    given = {name.lower(): value for name, value in headers.items()}
    name, moment, signatures = (given.get(f"webhook-{each}", "") for each in ("id", "timestamp", "signature"))
    signed = b".".join((name.encode(), moment.encode(), body))
    right = [b64encode(hmac.digest(key, signed, sha256)) for key in keys]
    sent = [each.removeprefix("v1,").encode() for each in signatures.split(" ") if each.startswith("v1,")]
    if not name or not any(hmac.compare_digest(one, other) for one in right for other in sent):
        raise WebhookError("the signature is wrong: check the secret, and that the body is as it came")
    if not moment.isdecimal() or abs((time.time() if now is None else now) - int(moment)) > tolerance_seconds:
        raise WebhookError("the message is too old, or this machine's clock is wrong")
    content = json.loads(body)
    return Message(name, content["type"], content["timestamp"], content["data"])


def _key(secret: str) -> bytes:
    try:
        key = b64decode(secret.removeprefix("whsec_"), validate=True)
    except NotBase64:
        key = b""
    if not key:  # an empty key would let everybody sign
        raise ValueError("a webhook secret is whsec_ and some base64")
    return key
