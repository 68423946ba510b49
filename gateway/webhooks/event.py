"""`StripeEvent`, parsed once from a snapshot or a thin event, and the delivery that brings it."""

import re
from datetime import datetime
from typing import Any, NamedTuple, Self

import orjson

from gateway.errors import WebhookRefused
from gateway.mirror.mapping import Json

EVENT_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
EVENT_TYPE = re.compile(r"[a-z0-9_.]{1,255}(\[[a-z0-9_.]{1,255}\])?[a-z0-9_.]{0,255}")
LATEST_SECOND = 253_402_300_799
"""The end of the year 9999, the last moment that a datetime can hold."""


class StripeEvent(NamedTuple):
    """An event of Stripe: immutable, and the same for both kinds of event.

    Args:
        id: `evt_…`.
        type: such as `invoice.paid`; of a thin event without its `v1.`.
        created: Unix seconds on Stripe's clock.
        object: the object that the event is about (`data.object`); of a thin event nothing but its `id` and `object`.
        previous_attributes: the values that changed, as they were before; None where the event does not say.
        account: the connected account that the event is from; None for our own.
        api_version: the version of the payload's shape.
        livemode: whether it is from live mode.
        thin: whether the object must still be fetched.
        payload: the body as Stripe sent it.
    """

    id: str
    type: str
    created: int
    object: Json
    previous_attributes: Json | None
    account: str | None
    api_version: str | None
    livemode: bool
    thin: bool
    payload: str

    @property
    def object_id(self) -> str | None:
        """The id of the object, if it has one that any database can hold."""
        return _text(self.object.get("id"))

    @classmethod
    def parse(cls, payload: bytes | str) -> Self:
        """Parse the body of a webhook, or a recorded payload.

        Raises:
            WebhookRefused: the payload is no event. What the object must have is the mirror's to say.
        """
        try:
            text = payload if isinstance(payload, str) else payload.decode()
        except UnicodeDecodeError:
            raise WebhookRefused("body_not_utf8", "the body is not UTF-8") from None
        try:
            event = orjson.loads(payload)
        except orjson.JSONDecodeError:
            raise WebhookRefused("body_not_json", "the body is not JSON") from None
        return cls.of(event, text)

    @classmethod
    def of(cls, event: Any, payload: str | None = None) -> Self:
        """Make an event of JSON that is already parsed, such as an entry of Stripe's list of events.

        Raises:
            WebhookRefused: the JSON is no event.
        """
        if not isinstance(event, dict):
            raise WebhookRefused("not_an_event", "the body is no JSON object")
        thin = event.get("object") == "v2.core.event"
        event_type, created, data = _thin_parts(event) if thin else _snapshot_parts(event)
        problem = _problem(event, event_type, created, data, thin=thin)
        if problem:
            raise WebhookRefused(
                "not_an_event", f"the body is no Stripe event: its `{problem}` is missing or malformed"
            )
        previous = data.get("previous_attributes")
        return cls(
            event["id"],
            event_type,
            created,
            data["object"],
            previous if isinstance(previous, dict) else None,
            _account(event),
            _text(event.get("api_version")),
            bool(event.get("livemode")),
            thin,
            orjson.dumps(event).decode() if payload is None else payload,
        )


class Delivery(NamedTuple):
    """An event on its way to us.

    Args:
        event: the event.
        secret_label: which of the configured secrets signed it; empty when no delivery brought it.
    """

    event: StripeEvent
    secret_label: str = ""


def _snapshot_parts(event: Json) -> tuple[Any, Any, Any]:
    return event.get("type"), event.get("created"), event.get("data")


def _thin_parts(event: Json) -> tuple[Any, Any, Any]:
    """Return type, time and data of a thin event as a snapshot event has them: `v1.invoice.paid` is `invoice.paid`.

    Source: https://docs.stripe.com/event-destinations#thin-events.
    """
    related, kind = event.get("related_object"), event.get("type")
    try:
        created = int(datetime.fromisoformat(str(event.get("created"))).timestamp())
    except (ValueError, OverflowError):
        created = -1  # which is refused
    found = {"id": related.get("id"), "object": related.get("type")} if isinstance(related, dict) else {}
    return kind.removeprefix("v1.") if isinstance(kind, str) else kind, created, {"object": found}


def _problem(event: Json, event_type: Any, created: Any, data: Any, *, thin: bool) -> str | None:
    """Return the name of the first part that is not as in every event."""
    if not isinstance(event.get("id"), str) or not EVENT_ID.fullmatch(event["id"]):
        return "id"
    if not isinstance(event_type, str) or not EVENT_TYPE.fullmatch(event_type):
        return "type"
    if not thin and event.get("object") != "event":
        return "object"
    if type(created) is not int or not 0 <= created <= LATEST_SECOND:
        return "created"
    if not isinstance(data, dict) or not isinstance(data.get("object"), dict):
        return "data.object"
    return None


def _account(event: Json) -> str | None:
    """Return the account that an event is from, where it is not our own.

    Connect names it in `account`; a thin event, and any that an organisation's endpoint gets, in `context`: `acct_…`,
    below an organisation `org_…/acct_…`.
    Source: https://docs.stripe.com/changelog/basil/2025-04-30/additional-context-organization-events.
    """
    found = event.get("account") or event.get("context")
    return _text(str(found).rpartition("/")[2] or str(found)) if found else None


def _text(value: Any) -> str | None:
    """Return a string that any database can hold, or None: an odd field must not cost the record of its event."""
    return value[:255].replace("\0", "") if isinstance(value, str) else None
