"""What an endpoint gets: which events, in which form, signed with which secrets.

Source: https://docs.stripe.com/webhooks
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING

from gateway.sandbox.core.expand import public
from gateway.sandbox.core.versions import Reader, render_event
from gateway.sandbox.events.thin import thin, thin_type

if TYPE_CHECKING:
    from gateway.sandbox.core.store import Obj


def wants(endpoint: Obj, event: Obj) -> bool:
    """Return whether an endpoint is on and listens to the event's type."""
    enabled = endpoint["enabled_events"]
    name = thin_type(event["type"]) if endpoint.get("_payload") == "thin" else event["type"]
    return bool(endpoint["status"] == "enabled" and ("*" in enabled or name in enabled))


def payload(event: Obj, endpoint: Obj, reader: Reader) -> Obj:
    """Return the body for an endpoint: the event in the endpoint's API version, or thin."""
    if endpoint.get("_payload") == "thin":
        return thin(event)
    return render_event(public(event), endpoint.get("api_version"), reader)


def signature(body: bytes, secrets: list[str], at: int | None = None) -> str:
    """Return the `Stripe-Signature` header: the time and one HMAC for each valid secret.

    The time is the wall clock's even when the sandbox's clock was moved: receivers compare it with their own.
    """
    moment = int(time.time()) if at is None else at
    signed = f"{moment}.".encode() + body
    sums = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={moment}", *(f"v1={each}" for each in sums)])


def secrets_of(endpoint: Obj, faults: frozenset[str]) -> list[str]:
    """Return the secrets to sign with; a rolled one stays valid for a while beside the new one."""
    former = endpoint.get("_former_secret")
    if "bad_signature" in faults:
        return [f"{endpoint['_secret']}x"]
    if "old_secret" in faults and former:
        return [former]
    if former and endpoint["_former_until"] > time.time():
        return [endpoint["_secret"], former]
    return [endpoint["_secret"]]
