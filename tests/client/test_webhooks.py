"""Which messages the client takes: those that the specification's own library signs, and no others."""

from base64 import b64encode
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook

from gateway.client import WebhookError, verify_webhook

NOW = 1_800_000_000
SECRET, OTHER = (f"whsec_{b64encode(bytes([n]) * 24).decode()}" for n in (1, 2))
BODY = b'{"type":"invoice.paid","timestamp":"2027-01-15T08:00:00Z","data":{"externalId":"ad\xc3\xa4"}}'


def headers(secret=SECRET, name="msg_1", at=NOW, body=BODY, **changed):
    signature = Webhook(secret).sign(name, datetime.fromtimestamp(at, UTC), body.decode())
    given = {"Webhook-Id": name, "Webhook-Timestamp": str(at), "Webhook-Signature": signature}
    return {header: changed.get(header[8:].lower(), value) for header, value in given.items()}


def both(first, second):
    return {"signature": " ".join(headers(secret)["Webhook-Signature"] for secret in (first, second))}


@pytest.mark.parametrize(
    ("given", "secrets"),
    [
        (headers(), [SECRET]),
        ({name.upper(): value for name, value in headers().items()}, [SECRET]),
        (headers(at=NOW - 300), [SECRET]),
        (headers(at=NOW + 300), [SECRET]),
        (headers(), [OTHER, SECRET]),
        (headers(**both(OTHER, SECRET)), [SECRET]),
    ],
)
def test_what_the_gateway_signed_is_taken(given, secrets):
    message = verify_webhook(BODY, given, *secrets, now=NOW)
    assert (message.id, message.type, message.data) == ("msg_1", "invoice.paid", {"externalId": "adä"})


@pytest.mark.parametrize(
    "given",
    [
        headers(OTHER),
        headers(body=BODY + b" "),
        headers(at=NOW - 301),
        headers(at=NOW + 301),
        headers(timestamp=str(NOW + 1)),
        headers(id="msg_2"),
        headers(id=""),
        headers(name="", id=""),
        headers(signature=""),
        headers(signature="v1,"),
        headers(signature=headers()["Webhook-Signature"].replace("v1,", "v1a,")),
        headers(signature=headers()["Webhook-Signature"].removeprefix("v1,")),
        headers(signature="v1,ä"),
        {},
    ],
)
def test_what_it_did_not_sign_or_not_now_is_refused(given):
    with pytest.raises(WebhookError):
        verify_webhook(BODY, given, SECRET, now=NOW)


def test_without_a_secret_nothing_is_taken():
    with pytest.raises(WebhookError):
        verify_webhook(BODY, headers(), now=NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_not base64"])
def test_what_is_no_secret_is_told(secret):
    with pytest.raises(ValueError, match="whsec_"):
        verify_webhook(BODY, headers(), secret, now=NOW)
