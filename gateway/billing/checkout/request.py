"""What a client asks for at the checkout, before anything is checked."""

from dataclasses import asdict, dataclass
from hashlib import sha256

import orjson


@dataclass(frozen=True, slots=True)
class Line:
    """A price, by exactly one of its two names, and how many.

    Attributes:
        price_id: its id, or None.
        lookup_key: its lookup key, or None.
        quantity: how many.
        adjustable: the least and the most that the buyer may make of the quantity on Stripe's page.
        short: whether the client wrote `priceId` or `lookupKey` and not `price`, which says where a problem is.
    """

    price_id: str | None = None
    lookup_key: str | None = None
    quantity: int = 1
    adjustable: tuple[int, int] | None = None
    short: bool = False

    @property
    def field(self) -> str:
        """Return where in the line the client named the price."""
        short, name = ("lookupKey", "lookupKey") if self.price_id is None else ("priceId", "id")
        return short if self.short else f"price.{name}"


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
        """Return a digest of everything that was asked, however the prices were named."""
        asked = asdict(self)
        for line in asked["lines"]:
            del line["short"]
        return sha256(orjson.dumps(asked)).hexdigest()
