"""How far the offline Stripe agrees with recorded conversations, where those are at hand (`STRIPE_RECORDED`)."""

import re
import sys

import pytest
from conformance import likeness

pytestmark = pytest.mark.soak


@pytest.mark.skipif(likeness.replay is None, reason="the recordings are not at hand (set STRIPE_RECORDED)")
def test_recorded_conversations_are_answered_alike(capsys):
    likeness.main(["--show", "0"])
    errors, shares = capsys.readouterr().out.strip().splitlines()[-2:]
    with capsys.disabled():
        sys.stdout.write(f"\n{errors}\n{shares}\n")
    agree = {name: int(good) / int(all_) for name, good, all_ in re.findall(r"(\w+) (\d+)/(\d+)", errors)}
    assert (agree["type"], agree["code"], agree["decline_code"]) == (1, 1, 1)
    assert agree["param"] >= 0.95
    status, fields, core = map(float, re.findall(r"([\d.]+) %", shares))
    assert (status >= 99, fields >= 99, core >= 99.9) == (True, True, True), shares
