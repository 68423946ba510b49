"""Where a buyer is sent back to: attacks on every URL that a client gives, each refused before Stripe hears of it."""

import dataclasses
import json
import random
import socket
import subprocess
from contextlib import suppress

import pytest

from gateway.billing.redirects import redirect_problem
from harness.gateway import make_world
from harness.npm import needs_node

ALLOWED = "https://shop.example"
ASK = """mutation($hosted: CreateCheckoutSessionInput!, $cancelled: CreateCheckoutSessionInput!,
                  $embedded: CreateCheckoutSessionInput!, $portal: CreatePortalSessionInput!) {
    successUrl: createCheckoutSession(input: $hosted) { session { id } userErrors { code field } }
    cancelUrl: createCheckoutSession(input: $cancelled) { session { id } userErrors { code field } }
    returnUrl: createCheckoutSession(input: $embedded) { session { id } userErrors { code field } }
    portal: createPortalSession(input: $portal) { url userErrors { code field } } }"""
ATTACKS = {
    "nothing": [""],
    "no host of its own": [
        "/thanks",
        "//evil.example",
        "///evil.example",
        "https:///evil.example",
        "https:/shop.example/",
    ],
    "no slashes": ["https:shop.example", "shop.example", "{CHECKOUT_SESSION_ID}"],
    "without TLS": ["http://shop.example/"],
    "another host": [
        "https://evil.example/",
        "https://evil.example/?https://shop.example/",
        "https://evil.example#https://shop.example/",
        "https://shop.example.evil.example/",
        "https://evilshop.example/",
        "https://sub.shop.example/",
        "https://{CHECKOUT_SESSION_ID}.shop.example/",
        "https://shop.example;@evil.example/",
        "https://shop.example,evil.example/",
    ],
    "a dot at the end": ["https://shop.example./", "https://shop.example.:443/", "https://shop.example../"],
    "another port": [
        "https://shop.example:8443/",
        "https://shop.example:80/",
        "https://shop.example:99999/",
        "https://shop.example:0x1bb/",
        "https://shop.example:-443/",
        "https://shop.example:4 43/",
        "https://shop.example:\N{FULLWIDTH DIGIT FOUR}43/",
    ],
    "a user": [
        "https://shop.example@evil.example/",
        "https://shop.example:x@evil.example/",
        "https://shop.example:443@evil.example/",
        "https://@shop.example/",
        "https://:@shop.example/",
        "https://user@shop.example/",
        "https://evil.example@shop.example/",
        "https://shop.example%40evil.example/",
    ],
    "backslashes": [
        "https://evil.example\\@shop.example/",
        "https://shop.example\\.evil.example/",
        "https://shop.example\\@evil.example/",
        "https:\\\\shop.example/",
        "\\\\evil.example",
        "/\\evil.example",
        "https://shop.example/\\evil.example",
    ],
    "encoded": [
        "https://shop.example%2eevil.example/",
        "https://shop.example%00.evil.example/",
        "https://%73hop.example/",
        "https://shop.example%252eevil.example/",
        "https://shop.example%25252f@evil.example/",
        "https://shop.example%2f%2fevil.example/",
        "https://shop.example%5cevil.example/",
        "https://shop.example%09.evil.example/",
        "https%3A%2F%2Fshop.example/",
        "https%253A%252F%252Fshop.example/",
        "%68ttps://shop.example/",
        "https://shop.example&#47;evil.example/",
    ],
    "look-alikes": [
        "https://sh\N{CYRILLIC SMALL LETTER O}p.example/",
        "https://\N{FULLWIDTH LATIN SMALL LETTER S}hop.example/",
        "https://shop\N{IDEOGRAPHIC FULL STOP}example/",
        "https://shop\N{FULLWIDTH FULL STOP}example/",
        "https://\N{LATIN SMALL LETTER LONG S}hop.example/",
        "https://shop.example\N{FULLWIDTH SOLIDUS}evil.example/",
        "https://shop.example\N{CARE OF}.evil.example/",
        "https://shop\N{SOFT HYPHEN}.example/",
        "https://sho\N{ZERO WIDTH JOINER}p.example/",
        "https://\N{RIGHT-TO-LEFT OVERRIDE}shop.example/",
        "https://xn--shp-0ic.example/",
    ],
    "addresses": [
        "https://[shop.example]/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://[/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://127.0.0.1/",
        "https://localhost/",
    ],
    "blanks and control characters": [
        " https://shop.example/",
        "https://shop.example/ ",
        "https://shop.example/\n",
        "https://shop.example/\r\nLocation: https://evil.example",
        "https://shop.\texample/",
        "https://shop.example\t@evil.example/",
        "https://shop.example/\x00",
        "https://shop.example\x00.evil.example/",
        "https://shop.example/\x7f",
        "https://shop.example/\N{NEXT LINE}",
        "https://shop.example/\N{LINE SEPARATOR}",
        "\x01https://shop.example/",
        "ht\ntps://shop.example/",
        "https:\t//evil.example",
    ],
    "other schemes": [
        "javascript:alert(1)",
        "JavaScript:alert(1)//https://shop.example/",
        "java\nscript:alert(1)",
        "javascript://shop.example/%0aalert(1)",
        "data:text/html,<script>alert(1)</script>",
        "DATA:text/html;base64,PHNjcmlwdD4=",
        "vbscript:x",
        "file:///etc/passwd",
        "ftp://shop.example/",
        "wss://shop.example/",
        "blob:https://shop.example/x",
        "view-source:https://shop.example/",
        "intent://shop.example/#Intent;scheme=https;end",
        "httpss://shop.example/",
    ],
    "longer than a URL": ["https://shop.example/" + "a" * 2000],
}


@pytest.fixture(scope="module")
def shop(new_sqlite):
    """A gateway with the sample catalogue whose Stripe must never be called."""
    with make_world(new_sqlite(), redirect_origins=ALLOWED) as world, socket.socket() as silence:
        silence.bind(("127.0.0.1", 0))
        silence.listen()
        away = {"stripe_api_base": f"http://127.0.0.1:{silence.getsockname()[1]}", "event_catch_up_minutes": 0}
        with dataclasses.replace(world, settings=world.settings.model_copy(update=away)).twin() as twin:
            yield twin
        silence.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                caller, _ = silence.accept()
                with caller:
                    # what time it is there, and whether it was moved
                    assert caller.recv(100).startswith((b"GET /v1/account ", b"GET /_sandbox/clock "))


def refusals(shop, url):
    """What is said of a URL, by the argument that named it."""
    line, good = {"lineItems": [{"lookupKey": "starter_monthly"}]}, f"{ALLOWED}/thanks"
    variables = {
        "hosted": {**line, "successUrl": url},
        "cancelled": {**line, "successUrl": good, "cancelUrl": url},
        "embedded": {**line, "uiMode": "EMBEDDED", "returnUrl": url},
        "portal": {"returnUrl": url},
    }
    answer = shop.data(ASK, variables, shop.token("user_1"))
    assert not any(payload.get("session") or payload.get("url") for payload in answer.values())
    return {name: [(each["code"], each["field"]) for each in got["userErrors"]] for name, got in answer.items()}


@pytest.mark.parametrize("kind", ATTACKS)
def test_no_buyer_is_sent_to_a_foreign_place(shop, kind):
    for url in ATTACKS[kind]:
        expected = {name: [("REDIRECT_NOT_ALLOWED", name)] for name in ("successUrl", "cancelUrl", "returnUrl")}
        expected["portal"] = [("REDIRECT_NOT_ALLOWED", "returnUrl")]
        assert refusals(shop, url) == expected, url


@pytest.mark.parametrize(("length", "passes"), [(2000, True), (2001, False)])
def test_how_long_a_url_may_be(length, passes):
    url = f"{ALLOWED}/".ljust(length, "x")
    assert (redirect_problem(url, (ALLOWED,)) is None) is passes


JUDGE = """
const urls = JSON.parse(require("fs").readFileSync(0, "utf8"));
const origin = (url) => { try { return new URL(url, "https://page.example").origin; } catch { return "none"; } };
console.log(JSON.stringify(urls.map(origin)));
"""
PIECES = [
    *(
        "https:",
        "http:",
        "HTTPS:",
        "//",
        "/",
        "\\",
        "@",
        ":",
        ".",
        "#",
        "?",
        "%2f",
        "%40",
        "%2e",
        "%00",
        " ",
        "\t",
        "\n",
    ),
    *(
        "shop.example",
        "SHOP.example",
        "evil.example",
        "443",
        "80",
        "[",
        "]",
        "::1",
        ";",
        ",",
        "&",
        "|",
        "^",
        "\u3002",
        "x",
    ),
]


@needs_node
def test_what_passes_is_read_alike_by_the_parser_that_browsers_have():
    """URLs thrown together from dangerous pieces: whichever we let through, a browser goes to the allowed origin."""
    dice = random.Random(1)  # noqa: S311 - the same throws every time
    urls = {"https://" + "".join(dice.choices(PIECES, k=dice.randint(1, 6))) for _ in range(100_000)}
    urls |= {"".join(dice.choices(PIECES, k=dice.randint(2, 7))) for _ in range(100_000)}
    passed = sorted(url for url in urls if redirect_problem(url, (ALLOWED,)) is None)
    assert len(passed) > 300, "the dice must also find what may pass"
    judged = subprocess.run(["node", "-e", JUDGE], input=json.dumps(passed), capture_output=True, text=True, check=True)
    assert {
        url: origin for url, origin in zip(passed, json.loads(judged.stdout), strict=True) if origin != ALLOWED
    } == {}
