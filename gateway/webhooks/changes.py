"""What an event changes in the mirror, and the events that share its object and its second."""

from collections.abc import Iterator

import sqlalchemy as sa

from gateway.errors import WebhookRefused
from gateway.mirror.resources import RESOURCES
from gateway.mirror.sync import Change
from gateway.models.columns import utc
from gateway.webhooks.event import StripeEvent
from gateway.webhooks.outcomes import EVENTS

_EARLIEST, _LATEST = (sa.bindparam(name, type_=EVENTS.c.created.type) for name in ("earliest", "latest"))
_SIBLINGS = sa.select(EVENTS.c.payload).where(
    EVENTS.c.created.between(_EARLIEST, _LATEST),
    EVENTS.c.object_id == sa.bindparam("object"),
    EVENTS.c.id != sa.bindparam("event"),
    EVENTS.c.account.is_not_distinct_from(sa.bindparam("whose")),
)


def change_of(event: StripeEvent, *, deleted: bool = False) -> Change | None:
    """Return what an event says about its object; None where it carries none that the mirror keeps."""
    obj = event.object
    resource = RESOURCES.get(str(obj.get("object")))
    if resource is None or not isinstance(obj.get(resource.owner or "id"), str):
        return None
    is_creation = event.type.endswith(".created")
    return Change(
        resource, obj, event.created, deleted, event.account, event.previous_attributes, is_creation, event.id
    )


def siblings(connection: sa.Connection, change: Change, earliest: int, latest: int) -> Iterator[Change]:
    """Yield what the other recorded events of an object say that were created between two moments, both included."""
    its = {"object": change.object["id"], "event": change.event_id, "whose": change.account}
    given = {**its, "earliest": utc(earliest), "latest": utc(latest)}
    for payload in connection.execute(_SIBLINGS, given).scalars():
        try:
            other = change_of(StripeEvent.parse(payload)._replace(account=change.account))
        except WebhookRefused:  # it was recorded by another version of the gateway
            continue
        if other is not None and other.resource is change.resource:
            yield other
