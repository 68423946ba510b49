"""`gateway serve`: what it says at its start."""

import json
import socket
import time
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from gateway import __version__
from harness.command import Command, run
from harness.databases import both_databases

OFFLINE = {"STRIPE_SECRET_KEY": "sk_test_x", "STRIPE_API_BASE": "http://127.0.0.1:9"}


@contextmanager
def said(folder, database_url, *words):
    """What `gateway serve` says once it serves, line by line."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    output = folder / "output.txt"
    output.touch()
    environment = {**OFFLINE, "DATABASE_URL": database_url, "GATEWAY_EVENT_CATCH_UP_MINUTES": "0"}
    process = Command("serve", "--port", str(port), *words, cwd=folder, environment=environment, output=output)
    try:
        deadline = time.monotonic() + 40
        while not (lines := [json.loads(line) for line in output.read_text().splitlines() if "serving" in line]):
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.05)
        yield port, lines
    finally:
        process.send_signal(15)
        process.wait(20)


@both_databases
@pytest.mark.parametrize("workers", [1, 2])
def test_a_good_start_says_address_version_mode_and_database_without_the_password(tmp_path, database_url, workers):
    url = sa.make_url(database_url)
    if url.drivername == "postgresql":
        database_url = url.set(password="hunter2").render_as_string(hide_password=False)
    with said(tmp_path, database_url, "--workers", str(workers)) as (port, lines):
        (line,) = lines
        assert line["address"] == f"http://127.0.0.1:{port}"
        assert line["version"] == __version__
        assert line["mode"] == "offline"
        assert line["database"] == f"{'SQLite' if url.drivername == 'sqlite' else 'PostgreSQL'}, {url.database}"
        assert "hunter2" not in json.dumps(line)


@pytest.mark.parametrize("key", ["abc", "whsec_x", "pk_test_x", "pk_live_x"])
def test_a_key_that_cannot_call_stripe_stops_the_start(tmp_path, sqlite_url, key):
    done = run("serve", "--port", "1", cwd=tmp_path, STRIPE_SECRET_KEY=key, DATABASE_URL=sqlite_url)
    assert done.returncode == 1
    assert done.stdout.startswith("STRIPE_SECRET_KEY: ")
    assert ("publishable" in done.stdout) == key.startswith("pk_")
    assert len(done.stdout.splitlines()) == 1
    assert key not in done.stdout


def test_a_port_that_is_taken_is_said_and_nothing_else(tmp_path, sqlite_url):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("serve", "--port", str(taken.getsockname()[1]), cwd=tmp_path, DATABASE_URL=sqlite_url, **OFFLINE)
    assert done.returncode != 0
    assert "address already in use" in done.stdout
    assert "serving" not in done.stdout
