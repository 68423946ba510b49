"""`gateway db`, and a database that cannot be used."""

import pytest

from harness.command import run
from harness.databases import both_databases


@both_databases
def test_the_database_is_migrated_on_command_and_says_where_it_is(tmp_path, database_url):
    environment = {"DATABASE_URL": database_url}
    assert "already at" in run("db", "upgrade", cwd=tmp_path, **environment).stdout
    current = run("db", "current", cwd=tmp_path, **environment)
    assert current.returncode == 0
    assert current.stdout.startswith("at ")


def test_an_empty_database_is_behind_until_it_is_upgraded(tmp_path):
    environment = {"DATABASE_URL": f"sqlite:///{tmp_path}/new.db"}
    assert run("db", "current", cwd=tmp_path, **environment).returncode == 1
    assert "migrated from empty" in run("db", "upgrade", cwd=tmp_path, **environment).stdout
    assert run("db", "current", cwd=tmp_path, **environment).returncode == 0


@pytest.mark.parametrize("path", ["a-file/gateway.db", "a-folder", "/proc/gateway.db"])
@pytest.mark.parametrize("words", [("db", "upgrade"), ("serve",), ("doctor",)], ids=" ".join)
def test_a_path_that_cannot_be_written_is_one_line(tmp_path, path, words):
    (tmp_path / "a-file").touch()
    (tmp_path / "a-folder").mkdir()
    key = {"STRIPE_SECRET_KEY": "sk_test_x", "STRIPE_API_BASE": "http://127.0.0.1:9"}
    done = run(*words, cwd=tmp_path, DATABASE_URL=f"sqlite:///{path}", **key)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout
    (line,) = [each for each in done.stdout.splitlines() if "database" in each.lower()]
    assert "cannot be written" in line
