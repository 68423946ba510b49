"""The webhook endpoint at Stripe, and PostgreSQL's answers: what the doctor finds, and what it repairs."""

import re

import httpx
import pytest
import sqlalchemy as sa

from gateway.db.refusals import refusal, refusal_of
from gateway.operators.endpoint import NONE, Endpoint
from gateway.sandbox import SandboxOptions, create_sandbox
from gateway.stripe_api.client import API_VERSION
from gateway.webhooks.handlers import ENDPOINT_EVENTS
from harness.command import run
from harness.gateway import listening, serve

URL = "https://billing.example/webhooks/stripe"


@pytest.fixture
def stripe():
    """An offline Stripe without anything in it: a function that calls it, and its address."""
    listener, url = listening()
    with serve(create_sandbox(SandboxOptions(catalog=False)), listener, date_header=False):

        def call(method, path="", **form):
            answer = httpx.request(method, f"{url}/v1/webhook_endpoints{path}", data=form, auth=("sk_test_x", ""))
            assert answer.is_success, answer.text
            return answer.json()

        call.url = url
        yield call


@pytest.fixture
def doctor(stripe, tmp_path, sqlite_url):
    """What the doctor says of the endpoint, with what stands before its lines."""

    def say(*words, **more):
        environment = {"DATABASE_URL": sqlite_url, "STRIPE_API_BASE": stripe.url, "STRIPE_SECRET_KEY": "sk_test_x"}
        said = run("doctor", *words, cwd=tmp_path, **environment, **more).stdout
        return said, [line for line in said.splitlines() if "webhook endpoint: " in line]

    return say


@pytest.mark.parametrize(
    ("changed", "finding", "warning"),
    [
        ({}, None, False),
        ({"events": ("*",)}, None, False),
        ({"events": (*ENDPOINT_EVENTS, "account.updated")}, None, False),
        ({"is_enabled": False, "events": ()}, "is disabled", False),
        ({"api_version": "2024-06-20", "events": ()}, f"sends version 2024-06-20, not {API_VERSION}", False),
        ({"events": ENDPOINT_EVENTS[1:]}, "misses 1 events", True),
        ({"api_version": None}, "sends the account's default version", True),
    ],
)
def test_what_is_wrong_with_an_endpoint(changed, finding, warning):
    good = {"id": "we_1", "url": URL, "is_enabled": True, "events": ENDPOINT_EVENTS, "api_version": API_VERSION}
    fault = Endpoint(**{**good, **changed}).fault()
    assert (fault and fault.finding.removeprefix(f"{URL} ")) == finding
    assert bool(fault and fault.warning) == warning


def test_the_doctor_lists_the_events_before_there_is_an_endpoint_and_mends_one_that_misses_some(stripe, doctor):
    _, (line,) = doctor()
    assert line.startswith("✗")
    assert line.endswith(NONE)
    assert all(name in NONE for name in ENDPOINT_EVENTS)

    events = {"enabled_events[0]": "invoice.paid", "enabled_events[1]": "account.updated"}
    made = stripe("POST", url=URL, api_version=API_VERSION, **events)
    stripe("POST", f"/{made['id']}", disabled="true")
    said, (line,) = doctor("--fix")
    assert said.startswith(f"enabling {URL} …\nletting {URL} send {len(ENDPOINT_EVENTS) - 1} more events: ")
    assert line == f"✓ webhook endpoint: {URL}, all events, in version {API_VERSION}"
    repaired = stripe("GET", f"/{made['id']}")
    assert (repaired["status"], set(repaired["enabled_events"])) == ("enabled", {*ENDPOINT_EVENTS, "account.updated"})

    said, _ = doctor("--fix")
    assert "…" not in said.replace("we_…", "")
    assert stripe("GET", f"/{made['id']}") == repaired


def test_an_endpoint_of_another_gateway_is_not_mended(stripe, doctor):
    both = [
        stripe("POST", url=f"https://{name}.example/webhooks/stripe", **{"enabled_events[0]": "invoice.paid"})
        for name in "ab"
    ]
    said, _ = doctor("--fix")
    assert said.startswith("several endpoints may be this gateway's: ")
    _, (line,) = doctor("--fix", STRIPE_WEBHOOK_SECRET=f"{both[1]['id']}:whsec_x")
    assert "https://b.example" in line
    assert [len(stripe("GET", f"/{each['id']}")["enabled_events"]) for each in both] == [1, len(ENDPOINT_EVENTS)]


@pytest.mark.parametrize(
    ("message", "finding"),
    [
        ('FATAL:  password authentication failed for user "ann"', "PostgreSQL refuses the password of the user ann"),
        ("fe_sendauth: no password supplied", "PostgreSQL refuses the password of the user ann"),
        ('FATAL:  role "ann" does not exist', "PostgreSQL has no user ann"),
        ('FATAL:  database "shop" does not exist', "PostgreSQL has no database shop"),
        (
            'FATAL:  no pg_hba.conf entry for host "1.2.3.4", user "ann", database "shop", no encryption',
            "PostgreSQL's pg",
        ),
        ("FATAL:  sorry, too many clients already", "PostgreSQL has no connection left"),
        ("FATAL:  the database system is starting up", "PostgreSQL starts or ends"),
        ("connection refused: Connection refused\n\tIs the server running", "nothing answers as PostgreSQL at db:5433"),
        ("failed to resolve host 'db': [Errno -2] Name or service not known", "there is no host db:5433"),
        ("connection timeout expired", "nothing is heard of PostgreSQL at db:5433"),
        ("FATAL: was auch immer", None),
    ],
)
def test_what_postgresql_answers_is_said_without_the_password(message, finding):
    refused = refusal_of(message, sa.make_url("postgresql+psycopg://ann:hunter2@db:5433/shop"))
    assert (refused is None) == (finding is None)
    if refused and finding:
        assert refused.finding.startswith(finding)
        assert "hunter2" not in refused.finding + refused.fix


def test_the_doctor_names_what_postgresql_answers(tmp_path):
    said = run("doctor", cwd=tmp_path, DATABASE_URL="postgresql://ann:hunter2@127.0.0.1:1/shop").stdout
    assert re.search(r"✗ database: nothing answers as PostgreSQL at 127.0.0.1:1 → start it, or correct the host", said)
    assert "hunter2" not in said


@pytest.mark.postgres
async def test_postgresqls_own_messages_are_known(postgres_url):
    url = sa.make_url(postgres_url).set(drivername="postgresql+psycopg")
    assert await refusal(url) is None
    for wrong, finding in (({"database": "nowhere"}, "no database nowhere"), ({"username": "nina"}, "no user nina")):
        refused = await refusal(url.set(**wrong))
        assert refused is not None
        assert finding in refused.finding
