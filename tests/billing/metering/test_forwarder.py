"""Usage on its way to Stripe: what is sent, what is tried again and what waits for an operator."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
import sqlalchemy as sa
import structlog
from prometheus_client import REGISTRY

from gateway.billing.metering.forwarder import LEASE, UNCOUNTED, USAGE, UsageForwarder, count_open_usage, mark_uncounted
from gateway.errors import StripeUnavailable
from gateway.models.metering import UsageRecord
from gateway.models.mirrored import Meter
from harness.rows import put
from harness.waiting import eventually_async

PATH = "/v1/billing/meter_events"
NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


def record(id: str = "id_1", **columns) -> UsageRecord:
    given = {"customer_id": "cus_1", "event_name": "calls", "value": 7, "timestamp": NOW - DAY, "fingerprint": "x"}
    given |= {"status": "pending", "next_attempt_at": NOW - DAY, "created": NOW - DAY, **columns}
    return UsageRecord(id=id, **given)


def meter(id: str = "mtr_1", **columns) -> Meter:
    given = {"event_name": "calls", "display_name": "Calls", "formula": "sum", "status": "active", "as_of": 0}
    return Meter(id=id, **{**given, "customer_key": "who", "value_key": "many", **columns})


async def forwarded(database, stripe) -> dict[str, tuple[str, int, str | None, bool]]:
    """What became of each record after all that is due was sent: status, attempts, error, whether it is tried again."""
    with structlog.testing.capture_logs():
        await UsageForwarder(database, stripe).queue.drain()
    rows = await database.read(lambda connection: connection.execute(sa.select(USAGE)).mappings().all())
    return {
        row["id"]: (row["status"], row["attempts"], row["last_error"], row["next_attempt_at"] is not None)
        for row in rows
    }


@pytest.mark.parametrize(
    ("meters", "who", "many"),
    [
        ([meter()], "who", "many"),
        ([], "stripe_customer_id", "value"),
        ([meter(event_name="other")], "stripe_customer_id", "value"),
        ([meter("acct_1/mtr_1")], "stripe_customer_id", "value"),
        ([meter("mtr_0", status="inactive", customer_key="old", value_key="old"), meter()], "who", "many"),
    ],
)
async def test_what_is_sent(database, fill, scripted, stripe, meters, who, many):
    scripted.answer("POST", PATH, {"object": "billing.meter_event"})
    await fill(record(), *meters)
    assert await forwarded(database, stripe) == {"id_1": ("sent", 1, None, False)}
    assert scripted.calls == [
        (
            "POST",
            PATH,
            {
                "event_name": "calls",
                "identifier": "id_1",
                "timestamp": str(int((NOW - DAY).timestamp())),
                f"payload[{who}]": "cus_1",
                f"payload[{many}]": "7",
            },
        )
    ]
    assert scripted.keys == [f"usage-{sha256(b'id_1').hexdigest()[:32]}-0"]


async def test_only_what_is_due_is_sent(database, fill, scripted, stripe):
    scripted.answer("POST", PATH, {})
    await fill(
        record("a"),
        record("b", next_attempt_at=NOW + DAY / 144),
        record("c", status="dead"),
        record("d", status="sent"),
    )
    found = await forwarded(database, stripe)
    assert [name for name, (_, attempts, *_) in found.items() if attempts] == ["a"]


async def test_what_a_killed_process_was_sending_is_sent_by_another_as_soon_as_its_lease_has_run_out(
    database, fill, scripted, stripe
):
    scripted.answer("POST", PATH, {})
    await fill(record())
    killed, other = (UsageForwarder(database, stripe).queue for _ in range(2))
    assert len(await killed.claim()) == 1
    claimed = datetime.now(UTC)
    for waited, sent in ((LEASE.total_seconds() - 5, 0), (LEASE.total_seconds(), 1), (2 * LEASE.total_seconds(), 0)):
        moment = claimed + timedelta(seconds=waited)
        assert await replace(other, now=lambda moment=moment: moment).drain() == sent
    assert len(scripted.calls) == 1


async def test_before_a_last_invoice_all_that_the_customer_has_used_is_sent(database, fill, scripted, stripe):
    """Also what waits after a failure, and what a process was sending that is dead."""
    scripted.answer("POST", PATH, {})
    later = {"next_attempt_at": datetime.now(UTC) + LEASE / 2, "attempts": 1}
    await fill(record("due"), record("failed", last_error="no", **later), record("held", **later))
    await fill(record("another's", customer_id="cus_2", last_error="no", **later), record("refused", status="dead"))
    await UsageForwarder(database, stripe).flush("cus_1", seconds=1.0)  # half of it for what nobody else is sending
    assert sorted(call[2]["identifier"] for call in scripted.calls) == ["due", "failed", "held"]
    await UsageForwarder(database, stripe).flush("cus_1")
    assert len(scripted.calls) == 3


async def test_before_a_last_invoice_what_another_process_is_sending_is_waited_for(database, fill, scripted, stripe):
    scripted.answer("POST", PATH, {})
    later = {"next_attempt_at": datetime.now(UTC) + LEASE / 2, "attempts": 1}
    await fill(record("failed", last_error="no", **later), record("held", **later))

    async def calls() -> list:
        return scripted.calls

    async def sent_by_the_other() -> None:
        await eventually_async(calls)
        sent = sa.update(USAGE).where(USAGE.c.id == "held").values(status="sent", next_attempt_at=None)
        await database.transaction(lambda connection: connection.execute(sent))

    async with asyncio.timeout(5):
        await asyncio.gather(UsageForwarder(database, stripe).flush("cus_1", seconds=20), sent_by_the_other())
    assert [call[2]["identifier"] for call in scripted.calls] == ["failed"]


async def test_no_last_invoice_is_made_while_what_was_used_does_not_reach_stripe(database, fill, scripted, stripe):
    scripted.answer("POST", PATH, {"error": {"type": "api_error", "message": "no"}}, status=500)
    await fill(record())
    with structlog.testing.capture_logs(), pytest.raises(StripeUnavailable):
        await UsageForwarder(database, stripe).flush("cus_1", seconds=0.1)


async def test_the_next_try_has_a_key_of_its_own(database, fill, scripted, stripe):
    scripted.answer("POST", PATH, {})
    await fill(record(attempts=4))
    assert (await forwarded(database, stripe))["id_1"] == ("sent", 5, None, False)
    assert scripted.keys == [f"usage-{sha256(b'id_1').hexdigest()[:32]}-4"]


async def test_what_stripe_refuses_waits_for_an_operator(database, fill, scripted, stripe):
    scripted.refuse("POST", PATH, "parameter_invalid")
    await fill(record())
    refused = {"outcome": "refused"}
    before = REGISTRY.get_sample_value("gateway_usage_total", refused) or 0
    status, attempts, error, again = (await forwarded(database, stripe))["id_1"]
    assert REGISTRY.get_sample_value("gateway_usage_total", refused) == before + 1
    assert (status, attempts, again) == ("dead", 1, False)
    assert error


@pytest.mark.parametrize("status", [500, 503])
async def test_what_fails_is_tried_again(database, fill, scripted, stripe, status):
    scripted.answer("POST", PATH, {"error": {"type": "api_error", "message": "no"}}, status=status)
    await fill(record(attempts=2))
    found, attempts, error, again = (await forwarded(database, stripe))["id_1"]
    assert (found, attempts, again, bool(error)) == ("pending", 3, True, True)


@pytest.mark.parametrize("code", ["resource_already_exists", "duplicate_meter_event"])
async def test_what_stripe_has_counted_already_is_sent(database, fill, scripted, stripe, code):
    scripted.refuse("POST", PATH, code)
    await fill(record("a"), record("b", last_error=f"{UNCOUNTED}: x"), record("c", last_error="no answer"))
    found = await forwarded(database, stripe)
    assert {name: status for name, (status, *_) in found.items()} == {"a": "sent", "b": "dead", "c": "sent"}
    assert found["b"][2] == f"{UNCOUNTED}: x"  # so that no later try takes it for sent


async def test_what_is_ahead_of_stripes_clock_is_said_to_be_as_late_as_stripe_takes(database, fill, scripted, stripe):
    scripted.answer("POST", PATH, {})
    await fill(record(timestamp=NOW + DAY))
    assert (await forwarded(database, stripe))["id_1"][0] == "sent"
    (call,) = scripted.calls
    assert int(call[2]["timestamp"]) == pytest.approx(datetime.now(UTC).timestamp() + 290, abs=30)
    assert scripted.keys == [f"usage-{sha256(b'id_1').hexdigest()[:32]}-0-{call[2]['timestamp']}"]


async def test_a_refusal_of_what_is_ahead_is_no_refusal(database, fill, scripted, stripe):
    scripted.refuse("POST", PATH, "timestamp_too_far_in_future")
    await fill(record("early", timestamp=NOW + DAY), record("late"))
    found = await forwarded(database, stripe)
    assert {name: (status, again) for name, (status, _, _, again) in found.items()} == {
        "early": ("pending", True), "late": ("dead", False),
    }  # fmt: skip


async def test_a_refusal_of_an_earlier_try_is_no_refusal_of_this_one(database, fill, scripted, stripe):
    """Nobody has written down what became of it: its machine's clock was ahead, and it died."""
    error = {"type": "invalid_request_error", "message": "no", "code": "timestamp_too_far_in_future"}
    scripted.answer("POST", PATH, {"error": error}, status=400, replayed=True)
    await fill(record())
    found, attempts, _, again = (await forwarded(database, stripe))["id_1"]
    assert (found, attempts, again) == ("pending", 1, True)


async def test_what_is_taken_back_is_cancelled_once_stripe_has_it(database, fill, scripted, stripe):
    path = "/v1/billing/meter_event_adjustments"
    scripted.answer("POST", path, {"object": "billing.meter_event_adjustment"})
    await fill(record("a", next_attempt_at=NOW + DAY / 144), record("b", status="sent"))
    await fill(record("back", adjusts="b"), record("early", adjusts="a"))
    found = await forwarded(database, stripe)
    assert [found[name] for name in ("back", "early")] == [("sent", 1, None, False), ("pending", 0, None, True)]
    cancellation = {"event_name": "calls", "type": "cancel", "cancel[identifier]": "b"}
    assert (scripted.calls, scripted.keys) == (
        [("POST", path, cancellation)],
        [f"usage-{sha256(b'back').hexdigest()[:32]}"],
    )
    when = sa.select(USAGE.c.next_attempt_at).where(USAGE.c.id == "early")
    later = await database.read(lambda connection: connection.execute(when).scalar())
    assert timedelta(0) < later - datetime.now(UTC) <= timedelta(seconds=2)


async def test_what_was_not_sent_is_logged(database, fill, scripted, stripe):
    scripted.refuse("POST", PATH, "no")
    await fill(record())
    with structlog.testing.capture_logs() as logs:
        await UsageForwarder(database, stripe).queue.drain()
    said = [(each["event"], each["id"], each["status"], each["error"]) for each in logs if "status" in each]
    assert said == [("usage_not_sent", "id_1", "dead", "StripeRefused")]


async def test_a_long_error_is_cut(database, fill, scripted, stripe):
    error = {"type": "invalid_request_error", "message": "x" * 5_000, "code": "x"}
    scripted.answer("POST", PATH, {"error": error}, status=400)
    await fill(record())
    assert 1_000 < len((await forwarded(database, stripe))["id_1"][2]) <= 2_000


def test_usage_that_stripe_could_not_count_waits_for_an_operator(connection):
    put(connection, record("a", status="sent", next_attempt_at=NOW), record("b", status="sent"), record("c"))
    before = REGISTRY.get_sample_value("gateway_usage_total", {"outcome": "not_counted"}) or 0
    with structlog.testing.capture_logs() as logs:
        mark_uncounted(connection, ["a", "c"], "no_customer", 12)
    columns = USAGE.c.status, USAGE.c.last_error, USAGE.c.next_attempt_at
    rows = {row.id: tuple(row)[1:] for row in connection.execute(sa.select(USAGE.c.id, *columns))}
    assert rows["a"] == ("dead", f"{UNCOUNTED}: no_customer", None)
    assert REGISTRY.get_sample_value("gateway_usage_total", {"outcome": "not_counted"}) == before + 1
    assert [rows[name][:2] for name in ("b", "c")] == [("sent", None), ("pending", None)]
    assert [(each["event"], each["code"], each["count"], each["named"]) for each in logs] == [
        ("usage_not_counted", "no_customer", 12, 2)
    ]


def test_what_has_not_reached_stripe_is_counted(connection):
    assert count_open_usage(connection) == {"pending": 0, "dead": 0}
    put(connection, record("a"), record("b"), record("c", status="dead"), record("d", status="sent"))
    assert count_open_usage(connection) == {"pending": 2, "dead": 1}
