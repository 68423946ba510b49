"""What must be fixed in a request beside its lines, as a table without HTTP and without a database."""

import pytest

from gateway.billing.checkout.request import CheckoutRequest, Line
from gateway.billing.checkout.validation import check
from gateway.settings import Settings

SETTINGS = Settings.load(stripe_secret_key="sk_test_x", redirect_origins="https://shop.example")
URL = "https://shop.example/thanks"


def problems(*, guest: bool = False, **asked) -> list[tuple[str, str | None]]:
    request = CheckoutRequest((Line("month"),), **{"success_url": URL, **asked})
    return [(problem.code.name, problem.field) for problem in check(request, SETTINGS, guest=guest)]


METADATA = [("METADATA_INVALID", "metadata")]
KEY = [("IDEMPOTENCY_KEY_INVALID", "idempotencyKey")]
CODE = [("PROMOTION_CODE_INVALID", "promotionCode")]
EMAIL = [("EMAIL_INVALID", "customerEmail")]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, []),
        ({"cancel_url": URL}, []),
        ({"success_url": None}, [("URL_REQUIRED", "successUrl")]),
        ({"return_url": URL}, [("URL_UNUSED", "returnUrl")]),
        ({"cancel_url": "https://evil.example/"}, [("REDIRECT_NOT_ALLOWED", "cancelUrl")]),
        ({"embedded": True, "success_url": None, "return_url": URL}, []),
        ({"embedded": True, "success_url": None}, [("URL_REQUIRED", "returnUrl")]),
        ({"embedded": True, "return_url": URL}, [("URL_UNUSED", "successUrl")]),
        ({"embedded": True, "success_url": None, "return_url": URL, "cancel_url": URL}, [("URL_UNUSED", "cancelUrl")]),
        ({"customer_email": "ada@example.com"}, []),
        ({"customer_email": "ada@mail.example.com"}, []),
        ({"customer_email": "ada"}, EMAIL),
        ({"customer_email": "ada@example"}, EMAIL),
        ({"customer_email": "a b@example.com"}, EMAIL),
        ({"customer_email": "ada@example..com"}, EMAIL),
        ({"customer_email": "ada@example.com\n"}, EMAIL),
        ({"customer_email": f"{'a' * 242}@example.com"}, []),
        ({"customer_email": f"{'a' * 243}@example.com"}, EMAIL),
        ({"promotion_code": "HALF"}, []),
        ({"promotion_code": "HALF", "coupon": "half"}, CODE),
        ({"promotion_code": "HALF", "allow_promotion_codes": True}, CODE),
        ({"coupon": "half", "allow_promotion_codes": True}, CODE),
        ({"idempotency_key": "k"}, []),
        ({"idempotency_key": ""}, KEY),
        ({"idempotency_key": "k" * 191}, []),
        ({"idempotency_key": "k" * 192}, KEY),
        ({"idempotency_key": "k" * 16, "guest": True}, []),
        ({"idempotency_key": "k" * 15, "guest": True}, KEY),
        ({"guest": True}, []),
        ({"metadata": tuple((f"k{number}", "v") for number in range(50))}, []),
        ({"metadata": tuple((f"k{number}", "v") for number in range(51))}, METADATA),
        ({"metadata": (("k", "a"), ("k", "b"))}, METADATA),
        ({"metadata": (("k" * 40, "v" * 500),)}, []),
        ({"metadata": (("k" * 41, "v"),)}, METADATA),
        ({"metadata": (("", "v"),)}, METADATA),
        ({"metadata": (("k", "v"),)}, []),
        ({"metadata": (("a[b", "v"),)}, METADATA),
        ({"metadata": (("a]b", "v"),)}, METADATA),
        ({"metadata": (("k", "v" * 501),)}, METADATA),
        ({"metadata": (("gateway_user", "v"),)}, METADATA),
        ({"metadata": (("my_gateway_user", "v"),)}, []),
        ({"metadata": (("paused_by_customer_until_1", "0"),)}, METADATA),
        ({"metadata": (("given_trial_dearer_by", "0"),)}, METADATA),
    ],
)
def test_what_must_be_fixed(asked, expected):
    assert problems(**asked) == expected


@pytest.mark.parametrize(
    ("asked", "kind"), [({"success_url": None}, "a hosted"), ({"success_url": None, "embedded": True}, "an embedded")]
)
def test_the_kind_of_checkout_that_needs_a_url_is_named(asked, kind):
    (problem,) = check(CheckoutRequest((Line("month"),), **asked), SETTINGS, guest=False)
    assert problem.message.startswith(kind)


def test_everything_is_told_at_once():
    found = problems(success_url=None, customer_email="x", coupon="a", promotion_code="b", idempotency_key="")
    assert [code for code, _ in found] == [
        "URL_REQUIRED",
        "EMAIL_INVALID",
        "PROMOTION_CODE_INVALID",
        "IDEMPOTENCY_KEY_INVALID",
    ]
