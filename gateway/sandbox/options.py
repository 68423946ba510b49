"""What can be chosen when a sandbox is started."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

API_VERSION = "2026-10-28.endive"
ACCOUNT_NAME = "Northwind Apps"


@dataclass(frozen=True, kw_only=True)
class SandboxOptions:
    """The settings of one sandbox; every one has a default that suits a test.

    Attributes:
        path: The SQLite file that holds the state; None keeps it in memory.
        forward_to: A URL that gets every event (as `stripe listen --forward-to` does), besides the endpoints
            made through the API.
        webhook_secret: The signing secret of `forward_to` (`whsec_…`); generated and kept when None.
        events: The event types for `forward_to`.
        api_version: The API version of the events for `forward_to`.
        public_url: The base address of the hosted pages; None takes it from each request's Host header.
        allowed_hosts: The names under which it may be called, besides `localhost`, addresses and the name in
            `public_url`: others are refused, see `guard.py`.
        links: What runs beside it, for its dashboard: names and addresses.
        catalog: Whether an empty sandbox is filled with the sample catalogue.
        seed: A fixture file (JSON) that an empty sandbox is filled with.
        clock: Unix seconds at which an empty sandbox starts; None is the present. Time runs on from there.
        retry_factor: What Stripe's waits between delivery attempts are multiplied by; 1 is real (five minutes
            before the first retry), 0.001 lets three days pass in four minutes.
        delivery_timeout: Seconds that a webhook destination has for its answer.
        random_seed: Makes ids and chaos repeat from run to run.
        retry_days: Days between the attempts to collect a failed invoice; after the last one `after_retries` follows.
        after_retries: What becomes of the subscription then: "cancel", "unpaid" or "past_due" (it stays so).
        rate_limit: Requests per second before 429; None never limits.
        chaos: What goes wrong with webhooks from the start: shares by name, see `chaos.FAULTS`.
    """

    path: Path | None = None
    forward_to: str | None = None
    webhook_secret: str | None = None
    events: tuple[str, ...] = ("*",)
    api_version: str = API_VERSION
    public_url: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    catalog: bool = True
    seed: Path | None = None
    clock: int | None = None
    retry_factor: float = 0.001
    delivery_timeout: float = 10.0
    random_seed: int | None = None
    retry_days: tuple[int, ...] = (3, 5, 7)
    after_retries: str = "cancel"
    rate_limit: int | None = None
    chaos: dict[str, float] = field(default_factory=dict)
