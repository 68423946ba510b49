"""Events in the shape of an endpoint's API version."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.sandbox.store import Obj


def render_event(event: Obj, version: str | None) -> Obj:
    """The event as an endpoint of that API version gets it."""
    return event if version is None else {**event, "api_version": version}
