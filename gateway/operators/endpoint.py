"""The endpoint at Stripe that posts to this gateway: what is wrong with it, how it is repaired, how it is made.

An endpoint's API version cannot be changed, and its secret is told once, to whoever makes it.
Source: https://docs.stripe.com/api/webhook_endpoints/update and https://docs.stripe.com/api/webhook_endpoints/create.
"""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import Any, NamedTuple, Self
from uuid import uuid4

from gateway.stripe_api.client import API_VERSION, Stripe
from gateway.webhooks.handlers import ENDPOINT_EVENTS
from gateway.webhooks.route import PATH

EVENTS = ", ".join(ENDPOINT_EVENTS)
DASHBOARD = "Stripe's dashboard (Developers, Webhooks)"
NONE = (
    f"`gateway init` makes one; or add one in {DASHBOARD} with the API version {API_VERSION} and these "
    f"{len(ENDPOINT_EVENTS)} events: {EVENTS}"
)


class Fault(NamedTuple):
    """What is wrong with an endpoint, and what to do; a warning where the gateway works all the same."""

    finding: str
    fix: str
    warning: bool = False


class Made(NamedTuple):
    """A new endpoint, and its signing secret, which nobody can ask for later."""

    id: str
    secret: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook endpoint at Stripe whose address ends as the gateway's does."""

    id: str
    url: str
    is_enabled: bool
    events: tuple[str, ...]
    api_version: str | None

    @classmethod
    def of(cls, obj: dict[str, Any]) -> Self:
        """Read Stripe's object."""
        return cls(obj["id"], obj["url"], obj["status"] == "enabled", tuple(obj["enabled_events"]), obj["api_version"])

    @property
    def missing(self) -> list[str]:
        """The events that it does not send and that the gateway handles."""
        return [] if "*" in self.events else sorted({*ENDPOINT_EVENTS} - {*self.events})

    def fault(self) -> Fault | None:
        """Return what is worst about it; None when all is well."""
        if not self.is_enabled:
            return Fault(f"{self.url} is disabled", f"enable it in {DASHBOARD}, or by `gateway doctor --fix`")
        if self.api_version and self.api_version != API_VERSION:
            fix = f"no endpoint changes its version: `gateway init` makes another; then delete this one in {DASHBOARD}"
            return Fault(f"{self.url} sends version {self.api_version}, not {API_VERSION}", fix)
        if self.missing:
            fix = f"`gateway doctor --fix`, or let it send: {', '.join(self.missing)}"
            return Fault(f"{self.url} misses {len(self.missing)} events", fix, warning=True)
        if not self.api_version:
            fix = f"whoever changes that changes what is sent: `gateway init` makes one of version {API_VERSION}"
            return Fault(f"{self.url} sends the account's default version", fix, warning=True)
        return None


async def endpoints(stripe: Stripe, labels: Collection[str] = ()) -> list[Endpoint]:
    """Return those that may be this gateway's.

    Args:
        stripe: whom to ask.
        labels: those of the signing secrets. `gateway init` labels a secret with its endpoint's id: where one is that
            of an endpoint, the others are other gateways'.

    Raises:
        StripeFailure: the key may not read them, or Stripe cannot be reached.
    """
    answer = await stripe.get("/v1/webhook_endpoints", limit=100)
    found = [Endpoint.of(each) for each in answer.object["data"] if each["url"].endswith(PATH)]
    return [each for each in found if each.id in labels] or found


async def repair(stripe: Stripe, endpoint: Endpoint) -> AsyncIterator[str]:
    """Enable an endpoint and add the events that it misses; nothing is taken away from it.

    Yields:
        what is done next. Nothing where nothing is to be done, so that a second run changes nothing.

    Raises:
        StripeFailure: the key may not change it, or Stripe cannot be reached.
    """
    change: dict[str, Any] = {}
    if not endpoint.is_enabled:
        change["disabled"] = False
        yield f"enabling {endpoint.url}"
    if endpoint.missing:
        change["enabled_events"] = [*endpoint.events, *endpoint.missing]
        yield f"letting {endpoint.url} send {len(endpoint.missing)} more events: {', '.join(endpoint.missing)}"
    if change:
        # of one try: an answer that was saved for an earlier one would say that it is done
        await stripe.post(f"/v1/webhook_endpoints/{endpoint.id}", idempotency_key=f"doctor-{uuid4()}", **change)


async def make(stripe: Stripe, url: str) -> Made:
    """Make an endpoint with the version and the events that the gateway reads.

    Raises:
        StripeFailure: the key may not, or Stripe cannot be reached.
    """
    answer = await stripe.post(
        "/v1/webhook_endpoints",
        idempotency_key=f"init-{uuid4()}",
        url=url,
        api_version=API_VERSION,
        enabled_events=list(ENDPOINT_EVENTS),
        description="Billing gateway (made by `gateway init`)",
    )
    return Made(answer.object["id"], answer.object["secret"])
