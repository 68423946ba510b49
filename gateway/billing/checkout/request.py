"""What a client asks for at the checkout, before anything is checked."""

from dataclasses import asdict, dataclass
from hashlib import sha256

import orjson


@dataclass(frozen=True, slots=True)
class Line:
    """A price, by exactly one of its two names, and how many.

    `adjustable` is the least and the most that the buyer may make of the quantity on Stripe's page.
    """

    price_id: str | None = None
    lookup_key: str | None = None
    quantity: int = 1
    adjustable: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class CheckoutRequest:
    """What a client asks for, in the words of `CreateCheckoutSessionInput`."""

    lines: tuple[Line, ...]
    setup: bool = False
    external_id: str | None = None
    embedded: bool = False
    success_url: str | None = None
    cancel_url: str | None = None
    return_url: str | None = None
    currency: str | None = None
    locale: str | None = None
    promotion_code: str | None = None
    coupon: str | None = None
    allow_promotion_codes: bool = False
    customer_email: str | None = None
    idempotency_key: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()

    @property
    def fingerprint(self) -> str:
        """Return a digest of everything that was asked."""
        return sha256(orjson.dumps(asdict(self))).hexdigest()
