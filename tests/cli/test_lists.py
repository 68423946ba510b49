"""The lists of the queues and logs: lines for people, `--json` for programs; and usage that is sent again."""

import json
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from gateway.models.audit import AuditEntry
from gateway.models.inbox import Event
from gateway.models.metering import UsageRecord
from gateway.models.outbound import OutboxDelivery, OutboxMessage
from harness.command import run
from harness.gateway import connected
from harness.rows import put
from harness.scripted_stripe import scripted_stripe

NOW = datetime.now(UTC).replace(microsecond=0)
DUE = {"created": NOW, "status": "dead", "last_error": "Stripe says [no]"}
HOOK = {"customer_id": "cus_1", "attempts": 3, "next_attempt_at": None}
EVENT = {"livemode": False, "payload": '{"private": 1}', "source": "webhook", "received_at": NOW}
METER_EVENTS = "/v1/billing/meter_events"
AUDIT = {"key": "k", "fingerprint": "f", "by": "operator ann", "input": {"amount": 1}, "created": NOW}


def usage(id, **columns):
    given = {"customer_id": "cus_1", "event_name": "calls", "value": 7, "timestamp": NOW, "fingerprint": "x"}
    return UsageRecord(id=id, **{**given, "attempts": 1, **DUE, **columns})


ROWS = {
    "events": (Event(id="evt_1", type="a.b", **DUE, **EVENT),),
    "usage": (usage("id_1"),),
    "outbox": (
        OutboxMessage(id=1, message_id="msg_1", customer_id="cus_1", type="a.b", payload="{}", created=NOW),
        OutboxDelivery(id=1, endpoint="https://shop.example/hooks", status="dead", last_error="no", **HOOK),
    ),
    "audit": (AuditEntry(id=1, reference="r", action="invoice.refund", status="done", **AUDIT),),
}
NAMES = {
    "events": "account api_version attempts created id last_error livemode next_attempt_at object_id outcome "
    "pending_fetches processed_at received_at source status type",
    "usage": "adjusts attempts created customer_id event_name id last_error next_attempt_at status timestamp value",
    "outbox": "attempts created customer_id endpoint id last_error next_attempt_at status type",
    "audit": "action actor by created external_id finished id input key problems reference result status target",
}
"""What a program may count on: a name may be added, and none goes."""


@pytest.mark.parametrize("command", list(ROWS))
def test_a_list_is_lines_for_people_and_json_for_programs(tmp_path, sqlite_url, command):
    with connected(sqlite_url) as connection:
        put(connection, *ROWS[command])
    (line,) = run(command, "list", cwd=tmp_path, DATABASE_URL=sqlite_url).stdout.splitlines()
    (printed,) = run(command, "list", "--json", cwd=tmp_path, DATABASE_URL=sqlite_url).stdout.splitlines()
    row = json.loads(printed)
    assert sorted(row) == NAMES[command].split()
    assert row["status"] in line
    assert (row["last_error"] or "" if "last_error" in row else row["by"]) in line
    assert datetime.fromisoformat(row["created"]) == NOW


def test_usage_that_stripe_refused_is_sent_again_under_its_identifier(tmp_path, sqlite_url):
    dead = [usage("good", attempts=2), usage("bad"), usage("other", customer_id="cus_2", status="sent")]
    with connected(sqlite_url) as connection, scripted_stripe() as stripe:
        put(connection, *dead)
        connection.commit()
        stripe.answer("POST", METER_EVENTS, {})
        stripe.refuse("POST", METER_EVENTS, "no")
        environment = {"DATABASE_URL": sqlite_url, "STRIPE_API_BASE": stripe.url, "STRIPE_SECRET_KEY": "sk_test_x"}
        mistyped = run("usage", "retry", "good", "unknown", cwd=tmp_path, **environment)
        assert (mistyped.returncode, "there is no report unknown; nothing was done" in mistyped.stdout) == (1, True)
        first = run("usage", "retry", "good", "other", cwd=tmp_path, **environment)
        assert (first.returncode, "1 reports, 0 of them refused again" in first.stdout) == (0, True)
        assert [call[2]["identifier"] for call in stripe.calls] == ["good"]
        assert stripe.keys == [f"usage-{sha256(b'good').hexdigest()[:32]}-2"]  # not that of the try that was refused
        second = run("usage", "retry", "--dead", cwd=tmp_path, **environment)
        assert (second.returncode, "1 reports, 1 of them refused again" in second.stdout) == (1, True)
    (check,) = (
        row
        for line in run("doctor", "--json", cwd=tmp_path, DATABASE_URL=sqlite_url).stdout.splitlines()
        if (row := json.loads(line))["check"] == "usage"
    )
    assert (check["status"], check["finding"]) == ("warning", "Stripe refused 1 reports: they are not billed")
    left = run("usage", "list", "--dead", "--customer", "cus_2", cwd=tmp_path, DATABASE_URL=sqlite_url)
    assert left.stdout == "no usage\n"
