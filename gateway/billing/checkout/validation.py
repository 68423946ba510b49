"""What must be fixed in a checkout request beside its lines. Pure: the request and the settings, nothing else."""

from collections.abc import Iterator

from gateway.billing.checkout.request import CheckoutRequest
from gateway.billing.customers.addresses import bad_email
from gateway.billing.redirects import redirect_problem
from gateway.billing.subscriptions.own_pauses import PAUSED_BY_CUSTOMER
from gateway.billing.subscriptions.trial_end import RISEN
from gateway.billing.user_errors import Problem, ProblemCode
from gateway.settings import Settings

MAX_KEY = 255 - 64  # Stripe takes 255; room for what is put before it
MIN_GUEST_KEY = 16

# Stripe, "Metadata": up to 50 keys, names of up to 40 characters without brackets, values of up to 500.
MAX_METADATA, MAX_METADATA_KEY, MAX_METADATA_VALUE = 50, 40, 500
RESERVED = "gateway_"
_OWN = RESERVED, PAUSED_BY_CUSTOMER, RISEN
"""With these the keys begin that the gateway writes itself, and goes by."""


def check(request: CheckoutRequest, settings: Settings, *, guest: bool) -> list[Problem]:
    """Return what must be fixed in everything but the lines; an empty list when nothing is wrong.

    Args:
        request: what the client asks for.
        settings: the allowed redirect origins.
        guest: whether nobody is signed in.
    """
    return [
        *_redirects(request, settings.redirect_origins),
        *filter(None, [bad_email(request.customer_email, "customerEmail")]),
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


def _promotion(request: CheckoutRequest) -> Iterator[Problem]:
    if sum((request.promotion_code is not None, request.coupon is not None, request.allow_promotion_codes)) > 1:
        message = "Stripe combines no two of `promotionCode`, `coupon` and `allowPromotionCodes`: give one of them"
        yield Problem(ProblemCode.PROMOTION_CODE_INVALID, message, "promotionCode")


def _key(key: str | None, *, guest: bool) -> Iterator[Problem]:
    """Ask for a key that is hard to guess from a guest: it is all that tells one guest from another."""
    least = MIN_GUEST_KEY if guest else 1
    if key is not None and not least <= len(key) <= MAX_KEY:
        message = f"the key must have {least} to {MAX_KEY} characters; use a random one such as a UUID"
        yield Problem(ProblemCode.IDEMPOTENCY_KEY_INVALID, message, "idempotencyKey")


def _metadata(entries: tuple[tuple[str, str], ...]) -> Iterator[Problem]:
    why = None
    if len(entries) > MAX_METADATA:
        why = f"at most {MAX_METADATA} entries are allowed"
    elif len({key for key, _ in entries}) < len(entries):
        why = "a key stands there twice: give it one value"
    elif any(not 1 <= len(key) <= MAX_METADATA_KEY or "[" in key or "]" in key for key, _ in entries):
        why = f"a key must have 1 to {MAX_METADATA_KEY} characters, without square brackets"
    elif any(len(value) > MAX_METADATA_VALUE for _, value in entries):
        why = f"a value may have {MAX_METADATA_VALUE} characters"
    elif any(key.startswith(_OWN) for key, _ in entries):
        why = f"keys that begin with {', '.join(_OWN)} are the gateway's own: name yours otherwise"
    if why:
        yield Problem(ProblemCode.METADATA_INVALID, why, "metadata")
