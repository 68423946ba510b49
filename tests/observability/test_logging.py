"""What a line of the log tells, and what it never does."""

import json
import re
import subprocess
import sys
import time

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
from gateway.observability.logging import configure_logging
configure_logging(readable=False)
structlog.contextvars.bind_contextvars(request_id="1")
structlog.get_logger().info("event_handled", id="evt_1", outcome="sk_live_x is postgresql://u:p@db, and whsec_y")
"""


def test_a_line_of_the_log_is_json_with_its_request_and_without_secrets():
    done = subprocess.run([sys.executable, "-c", LOGGED], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    (line,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert re.fullmatch(r"[\d-]+T[\d:.]+Z", line.pop("timestamp"))
    assert line == {
        "event": "event_handled",
        "id": "evt_1",
        "level": "info",
        "request_id": "1",
        "outcome": "[secret] is [secret] and [secret]",
    }
