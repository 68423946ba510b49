"""What somebody wants to buy, checked against the catalogue before Stripe is asked."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256

import orjson

from gateway.billing.catalog.snapshot import Snapshot, currencies_of, is_active, is_offered
from gateway.billing.redirects import redirect_problem
from gateway.billing.user_errors import Problem, ProblemCode
from gateway.models.mirrored import Price
from gateway.settings import Settings

MAX_LINES = 20
MAX_EMAIL = 254
MAX_KEY = 255 - 64  # Stripe takes 255; room for what is put before it
MIN_GUEST_KEY = 16
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f.]+(\.[^@\s\x00-\x1f\x7f.]+)+")

# Stripe, "Metadata": up to 50 keys, names of up to 40 characters without brackets, values of up to 500.
MAX_METADATA, MAX_METADATA_KEY, MAX_METADATA_VALUE = 50, 40, 500
RESERVED = "gateway_"


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
        """A digest of everything that was asked."""
        return sha256(orjson.dumps(asdict(self))).hexdigest()


@dataclass(frozen=True, slots=True)
class Cart:
    """Prices, all of which Stripe will take in one checkout.

    Attributes:
        lines: each price with what was asked for it, in the client's order; none when only a way to pay is kept.
        currency: the one to ask Stripe for; None for the prices' own.
    """

    lines: tuple[tuple[Price, Line], ...]
    currency: str | None

    @property
    def mode(self) -> str:
        """Stripe's mode: nothing to buy is a set-up, any recurring price makes it a subscription."""
        if not self.lines:
            return "setup"
        return "subscription" if self.plans else "payment"

    @property
    def plans(self) -> list[Price]:
        """The recurring prices."""
        return [price for price, _ in self.lines if price.interval]

    @property
    def trial_days(self) -> int | None:
        """The shortest trial of its plans; Checkout does not apply a price's trial by itself."""
        return min((price.trial_period_days for price in self.plans if price.trial_period_days), default=None)


def fill(request: CheckoutRequest, snapshot: Snapshot, max_quantity: int) -> Cart | list[Problem]:
    """The cart of a request, or what must be mended.

    Args:
        request: names the prices.
        snapshot: the only prices there are.
        max_quantity: of one line.
    """
    if request.setup:
        return _nothing(request, snapshot)
    if not 1 <= len(request.lines) <= MAX_LINES:
        return [Problem(ProblemCode.LINE_ITEMS_INVALID, f"a checkout has 1 to {MAX_LINES} lines", "lineItems")]
    found = [_line(line, place, snapshot, max_quantity) for place, line in enumerate(request.lines)]
    if problems := [each for each in found if isinstance(each, Problem)]:
        return problems
    lines = tuple(each for each in found if not isinstance(each, Problem))
    prices = [price for price, _ in lines]
    problems = [*_duplicates(prices), *_mixed_intervals(prices), *_currency(prices, request.currency)]
    return problems or Cart(lines, request.currency)


def _nothing(request: CheckoutRequest, snapshot: Snapshot) -> Cart | list[Problem]:
    """A set-up: nothing is bought, so there is nothing to reduce either."""
    if request.lines:
        return [Problem(ProblemCode.LINE_ITEMS_INVALID, "a set-up buys nothing: leave the lines empty", "lineItems")]
    if request.promotion_code or request.coupon or request.allow_promotion_codes:
        return [Problem(ProblemCode.PROMOTION_CODE_INVALID, "a set-up buys nothing that a code could reduce")]
    return Cart((), request.currency or snapshot.currency)


def _line(line: Line, place: int, snapshot: Snapshot, max_quantity: int) -> tuple[Price, Line] | Problem:
    at = f"lineItems.{place}"
    if (line.price_id is None) == (line.lookup_key is None):
        return Problem(ProblemCode.LINE_ITEMS_INVALID, "name the price by `priceId` or by `lookupKey`, not both", at)
    name, table = ("priceId", snapshot.prices) if line.price_id is not None else ("lookupKey", snapshot.by_lookup_key)
    price = table.get(line.price_id or line.lookup_key or "")
    if price is None:
        return Problem(ProblemCode.PRICE_NOT_FOUND, "there is no such price in the catalogue", f"{at}.{name}")
    if not is_active(price) or not is_active(snapshot.products[price.product_id]):
        return Problem(ProblemCode.PRICE_NOT_ON_SALE, "this price is no longer on sale", f"{at}.{name}")
    if why := _wrong_quantity(price, line, max_quantity):
        return Problem(ProblemCode.QUANTITY_INVALID, why, f"{at}.quantity")
    return price, line


def _wrong_quantity(price: Price, line: Line, most: int) -> str | None:
    """Why this many cannot be bought. A metered price is billed by use, so it takes no quantity."""
    if price.usage_type == "metered":
        plain = line.quantity == 1 and line.adjustable is None
        return None if plain else "a metered price is billed by use: leave the quantity out"
    if not 1 <= line.quantity <= most:
        return f"the quantity must be 1 to {most}"
    low, high = line.adjustable or (line.quantity, line.quantity)
    fits = 0 <= low <= line.quantity <= high <= most
    return None if fits else f"the quantity must lie within its adjustable range, and that within 0 to {most}"


def _duplicates(prices: Sequence[Price]) -> Iterator[Problem]:
    for place, price in enumerate(prices):
        if any(price.id == other.id for other in prices[:place]):
            message = "an earlier line has this price already: put the quantities together"
            yield Problem(ProblemCode.DUPLICATE_PRICE, message, f"lineItems.{place}")


def _mixed_intervals(prices: Sequence[Price]) -> Iterator[Problem]:
    """Stripe: "Checkout does not support multiple prices with different billing intervals"."""
    if len({(price.interval, price.interval_count) for price in prices if price.interval}) > 1:
        message = "plans of one checkout must have the same billing interval; sell them in a checkout each"
        yield Problem(ProblemCode.INTERVALS_MIXED, message, "lineItems")


def _currency(prices: Sequence[Price], wanted: str | None) -> Iterator[Problem]:
    common = sorted(set.intersection(*(set(currencies_of(price)) for price in prices)))
    there = ", ".join(common).upper() or "no currency in common: sell them in a checkout each"
    if wanted is not None:
        for place, price in enumerate(prices):
            if not is_offered(price, wanted):
                message = f"this price is not offered in {wanted.upper()}; the lines have {there}"
                yield Problem(ProblemCode.CURRENCY_NOT_OFFERED, message, f"lineItems.{place}")
    elif len({price.currency for price in prices}) > 1:
        yield Problem(
            ProblemCode.CURRENCY_NOT_OFFERED, f"the prices have different currencies; name one of {there}", "currency"
        )


def check(request: CheckoutRequest, settings: Settings, *, guest: bool) -> list[Problem]:
    """What must be mended in everything but the lines.

    Args:
        request: what the client asks for.
        settings: the allowed redirect origins.
        guest: whether nobody is signed in.
    """
    return [
        *_redirects(request, settings.redirect_origins),
        *_email(request.customer_email),
        *_promotion(request),
        *_key(request.idempotency_key, guest=guest),
        *_metadata(request.metadata),
    ]


def _redirects(request: CheckoutRequest, origins: tuple[str, ...]) -> Iterator[Problem]:
    urls = {"successUrl": request.success_url, "cancelUrl": request.cancel_url, "returnUrl": request.return_url}
    needed = "returnUrl" if request.embedded else "successUrl"
    unused = ("successUrl", "cancelUrl") if request.embedded else ("returnUrl",)
    kind = "an embedded" if request.embedded else "a hosted"
    for name, url in urls.items():
        if url is None:
            if name == needed:
                yield Problem(ProblemCode.URL_REQUIRED, f"{kind} checkout needs `{name}`", name)
        elif name in unused:
            yield Problem(ProblemCode.URL_UNUSED, f"{kind} checkout has no `{name}`; give `{needed}`", name)
        elif why := redirect_problem(url, origins):
            yield Problem(ProblemCode.REDIRECT_NOT_ALLOWED, f"`{name}` is refused: {why}", name)


def _email(email: str | None) -> Iterator[Problem]:
    if email is not None and not (len(email) <= MAX_EMAIL and _EMAIL.fullmatch(email)):
        yield Problem(ProblemCode.EMAIL_INVALID, "this is no e-mail address", "customerEmail")


def _promotion(request: CheckoutRequest) -> Iterator[Problem]:
    if sum((request.promotion_code is not None, request.coupon is not None, request.allow_promotion_codes)) > 1:
        message = "give one of `promotionCode`, `coupon` and `allowPromotionCodes`: Stripe combines no two of them"
        yield Problem(ProblemCode.PROMOTION_CODE_INVALID, message, "promotionCode")


def _key(key: str | None, *, guest: bool) -> Iterator[Problem]:
    """A guest's key is all that tells one guest from another, so it must be hard to guess."""
    least = MIN_GUEST_KEY if guest else 1
    if key is not None and not least <= len(key) <= MAX_KEY:
        message = f"the key must have {least} to {MAX_KEY} characters; use a random one such as a UUID"
        yield Problem(ProblemCode.IDEMPOTENCY_KEY_INVALID, message, "idempotencyKey")


def _metadata(entries: tuple[tuple[str, str], ...]) -> Iterator[Problem]:
    why = None
    if len(entries) > MAX_METADATA:
        why = f"at most {MAX_METADATA} entries are allowed"
    elif len({key for key, _ in entries}) < len(entries):
        why = "a key stands there twice"
    elif any(not 1 <= len(key) <= MAX_METADATA_KEY or "[" in key or "]" in key for key, _ in entries):
        why = f"a key must have 1 to {MAX_METADATA_KEY} characters, without square brackets"
    elif any(len(value) > MAX_METADATA_VALUE for _, value in entries):
        why = f"a value may have {MAX_METADATA_VALUE} characters"
    elif any(key.startswith(RESERVED) for key, _ in entries):
        why = f"keys that begin with {RESERVED} are the gateway's own"
    if why:
        yield Problem(ProblemCode.METADATA_INVALID, why, "metadata")
