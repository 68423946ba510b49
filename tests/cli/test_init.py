"""`gateway init`: `.env` and the endpoint at Stripe, made once however often it runs."""

import re

import httpx
import pytest
from dotenv import dotenv_values

from gateway.sandbox import SandboxOptions, create_sandbox
from gateway.stripe_api.client import API_VERSION
from gateway.webhooks.handlers import ENDPOINT_EVENTS
from harness.command import Command, run
from harness.gateway import listening, serve

KEY = "sk_test_hunter2"
FLAGS = ("--origin", "https://app.example", "--url", "https://billing.example/")
URL = "https://billing.example/webhooks/stripe"


class Place:
    """A folder with an offline Stripe beside it, and `gateway init` in it."""

    def __init__(self, folder, stripe_url):
        self.file = folder / ".env"
        self.stripe = f"{stripe_url}/v1/webhook_endpoints"
        self.environment = {"STRIPE_SECRET_KEY": KEY, "DATABASE_URL": "sqlite:///x.db", "STRIPE_API_BASE": stripe_url}

    def init(self, *words):
        return run("init", *words, cwd=self.file.parent, **self.environment)

    def endpoints(self):
        return httpx.get(self.stripe, auth=(KEY, "")).json()["data"]

    def variables(self):
        return dotenv_values(self.file)


@pytest.fixture
def place(tmp_path):
    listener, url = listening()
    with serve(create_sandbox(SandboxOptions(catalog=False)), listener, date_header=False):
        yield Place(tmp_path, url)


def test_the_file_and_the_endpoint_are_made_once_and_values_are_replaced_only_when_told(place):
    first = place.init(*FLAGS)
    assert first.returncode == 0, first.stdout
    assert KEY not in first.stdout
    assert place.file.stat().st_mode & 0o777 == 0o600
    (endpoint,) = place.endpoints()
    assert (endpoint["url"], endpoint["api_version"]) == (URL, API_VERSION)
    assert sorted(endpoint["enabled_events"]) == list(ENDPOINT_EVENTS)
    variables = place.variables()
    assert re.fullmatch(rf"{endpoint['id']}:whsec_\w+", variables.pop("STRIPE_WEBHOOK_SECRET"))
    origins = dict.fromkeys(("GATEWAY_REDIRECT_ORIGINS", "GATEWAY_CORS_ORIGINS"), "https://app.example")
    assert variables == {**place.environment, **origins}

    place.file.write_text(f"# mine\n{place.file.read_text()}GATEWAY_GRACE_DAYS=5\n")
    before = place.file.read_text()
    assert place.init(*FLAGS).returncode == 0
    again = run("init", *FLAGS[2:], cwd=place.file.parent)  # of which the file knows the rest
    assert (again.returncode, f"{endpoint['id']} posts to {URL}" in again.stdout) == (0, True)
    other = place.init("--origin", "https://other.example", *FLAGS[2:])
    assert (other.returncode, "has other values of GATEWAY_REDIRECT_ORIGINS; give --force" in other.stdout) == (1, True)
    assert (place.file.read_text(), len(place.endpoints())) == (before, 1)

    assert place.init("--origin", "https://other.example", *FLAGS[2:], "--force").returncode == 0
    assert place.file.read_text() == before.replace("https://app.example", "https://other.example")


def test_an_endpoint_whose_secret_nobody_knows_is_neither_used_nor_doubled(place):
    form = {"url": URL, "api_version": API_VERSION, "enabled_events[0]": "invoice.paid"}
    made = httpx.post(place.stripe, data=form, auth=(KEY, "")).json()
    lost = place.init(*FLAGS)
    assert (lost.returncode, "lacks its secret" in lost.stdout) == (1, True)
    assert place.init(*FLAGS, "--webhook-secret", made["secret"]).returncode == 0
    assert place.variables()["STRIPE_WEBHOOK_SECRET"] == f"{made['id']}:{made['secret']}"
    (endpoint,) = place.endpoints()
    assert sorted(endpoint["enabled_events"]) == list(ENDPOINT_EVENTS)


def test_an_endpoint_whose_secret_cannot_be_written_down_is_deleted_again(place, tmp_path):
    assert place.init("--origin", "https://app.example", "--url", "").returncode == 0
    place.file.write_text(f"# {'x' * 6000}\n{place.file.read_text()}")
    before, output = place.file.read_text(), tmp_path / "said"
    command = Command("init", *FLAGS, cwd=tmp_path, environment=place.environment, output=output, limit=len(before) + 9)
    assert command.wait(60) == 1, output.read_text()
    assert ".env cannot be written" in output.read_text()
    assert (place.file.read_text(), place.endpoints()) == (before, [])
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".env")] == [".env"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--url", ""), "--origin is missing"),
        (("--origin", "https://*.example", "--url", ""), "GATEWAY_REDIRECT_ORIGINS: "),
        (("--origin", "https://app.example", "--url", "billing.example"), "--url: "),
        (("--origin", "https://a.example", "--url", "", "--database", "mysql://u:hunter2@x/y"), "DATABASE_URL: mysql"),
    ],
)
def test_what_is_wrong_or_missing_is_said_before_anything_is_written(place, words, said):
    done = place.init(*words)
    assert (done.returncode, said in done.stdout, "hunter2" in done.stdout) == (1, True, False)
    assert (place.file.exists(), place.endpoints()) == (False, [])


def test_a_person_is_asked(place):
    api = {"STRIPE_API_BASE": place.environment["STRIPE_API_BASE"]}
    done = run("init", cwd=place.file.parent, typed=f"{KEY}\n\nhttps://app.example\n\n", **api)
    assert (done.returncode, KEY in done.stdout) == (0, False), done.stdout
    variables = place.variables()
    assert (variables["STRIPE_SECRET_KEY"], variables["DATABASE_URL"]) == (KEY, "sqlite:///.gateway/gateway.db")
    assert place.endpoints() == []
