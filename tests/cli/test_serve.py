"""`gateway serve`: what it says at its start."""

import json
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import httpx
import pytest
import sqlalchemy as sa

from gateway import __version__
from harness.command import Command, run
from harness.databases import postgres_later
from harness.waiting import eventually, free_port

OFFLINE = {"STRIPE_SECRET_KEY": "sk_test_x", "STRIPE_API_BASE": "http://127.0.0.1:9"}


@contextmanager
def said(folder, database_url, *words, end=signal.SIGTERM):
    """What `gateway serve` says once it serves, line by line, until it is told to `end`."""
    port = free_port()
    output = folder / "output.txt"
    output.touch()
    environment = {**OFFLINE, "DATABASE_URL": database_url, "GATEWAY_EVENT_CATCH_UP_MINUTES": "0"}
    process = Command("serve", "--port", str(port), *words, cwd=folder, environment=environment, output=output)
    try:

        def serving():
            assert process.poll() is None, output.read_text()
            return [json.loads(line) for line in output.read_text().splitlines() if "serving" in line]

        yield port, eventually(serving, seconds=40)
    finally:
        process.send_signal(end)
        assert process.wait(20) in {0, -signal.SIGTERM}  # uvicorn ends in good order, then by the signal itself


@postgres_later
@pytest.mark.parametrize("workers", [1, 2])
def test_a_good_start_says_address_version_mode_and_database_without_the_password(tmp_path, database_url, workers):
    url = sa.make_url(database_url)
    if url.drivername == "postgresql":
        database_url = url.set(password="hunter2").render_as_string(hide_password=False)
    end = signal.SIGHUP if workers == 1 else signal.SIGTERM  # what a terminal says that closes; workers begin anew
    with said(tmp_path, database_url, "--workers", str(workers), end=end) as (port, lines):
        (line,) = lines
        assert line["address"] == f"http://127.0.0.1:{port}"
        assert line["version"] == __version__
        assert line["mode"] == "offline"
        assert line["database"] == f"{'SQLite' if url.drivername == 'sqlite' else 'PostgreSQL'}, {url.database}"
        assert "hunter2" not in json.dumps(line)
        assert httpx.get(f"{line['address']}/healthz").is_success


def test_who_only_starts_workers_does_not_import_what_they_run():
    heavy = {"gateway.app", "gateway.db", "gateway.settings", "sqlalchemy", "graphql", "strawberry", "pydantic"}
    program = f"import gateway.cli.serve, sys; print(*sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "\n"


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


WRONG = {
    "a webhook secret that is none": ({"STRIPE_WEBHOOK_SECRET": "abc"}, "STRIPE_WEBHOOK_SECRET"),
    "a redirect origin with a wildcard": ({"GATEWAY_REDIRECT_ORIGINS": "*"}, "GATEWAY_REDIRECT_ORIGINS"),
    "a redirect origin with a path": ({"GATEWAY_REDIRECT_ORIGINS": "https://a.example/x"}, "GATEWAY_REDIRECT_ORIGINS"),
    "a redirect origin of another scheme": (
        {"GATEWAY_REDIRECT_ORIGINS": "ftp://a.example"},
        "GATEWAY_REDIRECT_ORIGINS",
    ),
    "a database of another make": ({"DATABASE_URL": "mysql://user:hunter2@host/x"}, "DATABASE_URL"),
    "a database URL that is none": ({"DATABASE_URL": "hunter2"}, "DATABASE_URL"),
    "no key": ({"STRIPE_SECRET_KEY": ""}, "STRIPE_SECRET_KEY"),
    "a live key for another address": ({"STRIPE_SECRET_KEY": "sk_live_hunter2"}, "STRIPE_API_BASE"),
    "a manifest that is not there": ({"GATEWAY_TRUSTED_DOCUMENTS": "away.json"}, "GATEWAY_TRUSTED_DOCUMENTS"),
    "trusted documents alone, and none": ({"GATEWAY_TRUSTED_DOCUMENTS_ONLY": "on"}, "GATEWAY_TRUSTED_DOCUMENTS"),
    "a quantity of nought": ({"GATEWAY_MAX_QUANTITY": "0"}, "GATEWAY_MAX_QUANTITY"),
}


@pytest.mark.parametrize(("wrong", "named"), list(WRONG.values()), ids=list(WRONG))
def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it_and_shows_no_secret(tmp_path, wrong, named):
    right = {
        "STRIPE_SECRET_KEY": "sk_test_x",
        "STRIPE_API_BASE": "http://127.0.0.1:9",
        "DATABASE_URL": "sqlite:///x.db",
    }
    result = run("serve", "--port", "1", cwd=tmp_path, **right | wrong)
    assert result.returncode == 1
    assert named in result.stdout
    assert len(result.stdout.strip().splitlines()) == 1
    assert "hunter2" not in result.stdout


@pytest.mark.parametrize("words", [(), ("--wait-for-migration", "1")])
def test_a_database_that_is_not_migrated_stops_the_start_with_the_command(tmp_path, words):
    done = run("serve", *words, cwd=tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/new.db", **OFFLINE)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("the database is at migration nothing, behind ")
    assert "run `gateway db upgrade`" in done.stdout
    assert ("waiting_for_migration" in done.stdout) == bool(words)


def test_a_start_that_is_told_to_wait_serves_once_the_database_is_migrated(tmp_path):
    output, environment = tmp_path / "output.txt", {**OFFLINE, "DATABASE_URL": f"sqlite:///{tmp_path}/new.db"}
    words = ("serve", "--port", str(free_port()), "--wait-for-migration", "60")
    process = Command(*words, cwd=tmp_path, environment=environment, output=output)
    eventually(lambda: output.exists() and "waiting_for_migration" in output.read_text(), seconds=40)
    assert run("db", "upgrade", cwd=tmp_path, **environment).returncode == 0
    eventually(lambda: '"serving"' in output.read_text(), seconds=40)
    process.send_signal(15)
    process.wait(20)
