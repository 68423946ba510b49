"""`gateway dev`."""

import pytest

from gateway.cli.dev import LocalPages
from harness.command import run


def test_dev_refuses_to_run_beside_a_live_key(tmp_path):
    result = run("dev", cwd=tmp_path, STRIPE_SECRET_KEY="sk_live_hunter2")
    assert result.returncode == 1
    assert "live key" in result.stdout
    assert "hunter2" not in result.stdout


@pytest.mark.parametrize(
    ("origin", "is_let_in"),
    [
        ("https://app.example.com", True),
        ("http://localhost:5174", True),
        ("https://localhost", True),
        ("http://127.0.0.1:8080", True),
        ("http://[::1]:3000", True),
        ("http://0.0.0.0:5173", True),
        ("null", False),
        ("https://evil.example", False),
        ("http://localhost.evil.example:5173", False),
        ("http://evil.example/http://localhost:5173", False),
        ("http://localhost:5173/", False),
        ("http://localhost:5173\n", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://192.168.1.5:5173", False),
        ("chrome-extension://localhost", False),
    ],
)
def test_pages_of_this_machine_are_let_in_and_those_that_were_named(origin, is_let_in):
    assert (origin in LocalPages(("https://app.example.com",))) is is_let_in
