"""What a line of the log tells, and what it never does."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.observability.logging import redact_secrets
from harness.gateway import SECRET


def test_a_line_of_the_log_tells_the_event_and_how_long_it_took_and_nothing_private(world, capsys):
    customer = world.stripe("POST", "/v1/customers", email="ada@example.com", name="Ada", phone="4242424242424242")
    event = world.event("customer.updated", customer, created=int(time.time()) + 20)
    torn = world.event("customer.updated", {**customer, "id": "cus/none", "email": ["ada@example.com"]})
    world.deliver(event)
    world.deliver(torn)
    world.eventually(lambda: world.status_of(torn), "failed")
    logged = capsys.readouterr().out
    (line,) = [each for each in logged.splitlines() if event["id"] in each]
    for part in ("type=customer.updated", f"object={customer['id']}", "status=applied", "outcome=", "ms="):
        assert part in line
    assert torn["id"] in logged
    for private in ("ada@example", "4242", SECRET, "sk_test"):
        assert private not in logged


LOGGED = """
import structlog
from gateway.observability.logging import configure_logging, info_lines
configure_logging(readable=False)
structlog.contextvars.bind_contextvars(request_id="1")
line = {"id": "evt_1", "outcome": "sk_live_x is postgresql://u:p@db, and whsec_y"}
structlog.get_logger().info("event_handled", **line)
info_lines("event_handled", [line, {**line, "outcome": "updated"}])
info_lines("event_handled", [])
info_lines("event_handled", [{**line, "outcome": "updated"}])
"""


def test_a_line_of_the_log_is_json_with_its_request_and_without_secrets():
    done = subprocess.run([sys.executable, "-c", LOGGED], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert all(re.fullmatch(r"[\d-]+T[\d:.]+Z", line.pop("timestamp")) for line in lines)
    hidden = {
        "event": "event_handled",
        "id": "evt_1",
        "level": "info",
        "request_id": "1",
        "outcome": "[secret] is [secret] and [secret]",
    }
    other = {**hidden, "outcome": "updated"}
    assert lines == [hidden, hidden, other, other]  # alone and among several, with a secret and without


def test_each_kind_of_secret_is_found_where_it_is_the_only_one():
    kinds = ("sk_live_x", "rk_test_x", "whsec_y", "eyJhbGciOiJI.x.y", "postgresql://u:p@db", "ada@localhost")
    lines = [redact_secrets(None, "", {"event": "it is", "ms": 1, "outcome": f"{each} here"}) for each in kinds]
    assert lines == [{"event": "it is", "ms": 1, "outcome": "[secret] here"}] * len(kinds)


TOGETHER = """
import os, structlog, sys
from gateway.observability.logging import configure_logging, written_at_once
configure_logging(readable=sys.argv[1] == "readable")
log = structlog.get_logger()
try:
    with written_at_once():
        log.info("first")
        log.info("second")
        os.write(2, b"between\\\\n")
        raise KeyError
except KeyError:
    log.info("third")
"""


@pytest.mark.parametrize("form", ["readable", "json"])
def test_lines_that_are_written_at_once_come_in_order_at_the_end_of_the_block_and_also_after_an_error(form):
    done = subprocess.run([sys.executable, "-c", TOGETHER, form], capture_output=True, text=True, check=True)
    words = ("between", "first", "second", "third")
    assert [word for line in done.stderr.splitlines() for word in words if word in line] == list(words)


LOST = """
import structlog
from gateway.observability import metrics
from gateway.observability.logging import configure_logging, written_at_once
configure_logging(readable=False)
with written_at_once():
    structlog.get_logger().info("first")
    structlog.get_logger().info("second")
print(metrics.LOG_LINES_LOST._value.get())
"""


def test_lines_that_no_disk_takes_are_dropped_and_counted():
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-c", LOST], stdout=subprocess.PIPE, stderr=full, text=True, check=False)
    assert done.stdout == "2.0\n"
