"""A machine whose clock is wrong: it says so, and loses nothing."""

import re
import subprocess
import time

import httpx
import pytest

from harness.fronts import installed
from harness.gateway import SECRET
from harness.servers import serving
from harness.waiting import eventually


@pytest.mark.parametrize(("away", "side"), [("-600s", "behind"), ("+600s", "ahead of")])
def test_ten_minutes_off_it_says_so_and_takes_what_stripe_delivers(world, new_sqlite, away, side):
    shown = subprocess.run([installed("faketime"), "-m", "-f", away, "env"], capture_output=True, text=True, check=True)
    library = next(line.partition("=")[2] for line in shown.stdout.splitlines() if line.startswith("LD_PRELOAD="))
    settings = {
        "DATABASE_URL": new_sqlite(),
        "STRIPE_SECRET_KEY": "sk_test_tests",
        "STRIPE_API_BASE": world.stripe_url,
        "STRIPE_WEBHOOK_SECRET": SECRET,
    }
    with serving({**settings, "LD_PRELOAD": library, "FAKETIME": away}) as (port, _):
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: httpx.get(f"{url}/readyz").status_code, 503)
        said = rf"this machine's clock is (599|60[01]) s {side} Stripe's: set it \(NTP\)"  # Stripe tells whole seconds
        assert re.fullmatch(said, httpx.get(f"{url}/readyz").json()["status"])
        event = world.event("customer.created", {"id": "cus_1", "object": "customer"})
        answers = [world.deliver(event, url=url, at=int(time.time()) + later).json() for later in (0, 1200)]
    assert answers[0] == {"received": True, "duplicate": False}
    assert answers[1]["error"]["code"] == "timestamp_outside_tolerance"
