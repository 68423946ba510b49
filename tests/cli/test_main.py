"""What every command shares: its errors, and where it runs."""

import re
import subprocess
import sys
from importlib.metadata import version

import pytest

from gateway.cli.main import PANELS
from harness.command import commands, run

ON_WINDOWS = "import sys, gateway.cli.main as cli; sys.platform = 'win32'; cli.main()"


def test_an_error_is_a_sentence_that_begins_with_what_is_wrong_and_ends_with_its_code(tmp_path):
    done = run("serve", cwd=tmp_path, STRIPE_SECRET_KEY="sk_test_x", DATABASE_URL="mysql://host/x")
    assert done.returncode == 1
    assert done.stdout.startswith("DATABASE_URL: mysql is not supported")
    assert done.stdout.endswith("(CONFIGURATION_ERROR)\n")


def test_an_error_keeps_its_square_brackets(tmp_path):
    done = run("events", "show", "[red]evt_[/]", cwd=tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/x.db")
    assert "gateway db upgrade" in done.stdout
    assert run("db", "upgrade", cwd=tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/x.db").returncode == 0
    done = run("events", "show", "[red]evt_[/]", cwd=tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/x.db")
    assert (done.returncode, done.stdout) == (1, "there is no event [red]evt_[/] (BAD_USER_INPUT)\n")


@pytest.mark.parametrize("words", [["dev"], ["--help"]])
def test_on_windows_one_line_says_where_it_runs(words):
    done = subprocess.run([sys.executable, "-c", ON_WINDOWS, *words], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert (
        done.stderr == "Windows is not supported: run the gateway in WSL 2 or in its container image (`Dockerfile`)\n"
    )


def test_without_ticks_in_the_locale_and_with_streams_closed_a_command_does_its_work(tmp_path):
    environment = {"PYTHONIOENCODING": "latin-1", "DATABASE_URL": f"sqlite:///{tmp_path}/x.db"}
    command = ["sh", "-c", 'exec "$@" <&- 2>&-', "sh", sys.executable, "-m", "gateway", "doctor"]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 1
    assert "? database: the database is at migration nothing" in done.stdout


def test_the_version_is_that_of_the_installed_package(tmp_path):
    done = run("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{version('billing-gateway')}\n")


def test_the_help_groups_the_commands_and_has_a_short_name(tmp_path):
    done = run("-h", cwd=tmp_path)
    assert done.returncode == 0
    assert re.findall(r"─ (\w[\w ]*\w) ─", done.stdout) == ["Options", *PANELS]
    assert "--limit" in run("usage", "list", "-h", cwd=tmp_path).stdout


def test_every_list_has_json():
    lists = {name: command for name, command in commands() if name.endswith(" list")}
    assert len(lists) == 4
    assert all("as_json" in {option.name for option in command.params} for command in lists.values())


def test_an_unknown_command_is_named(tmp_path):
    done = run("recconcile", cwd=tmp_path)
    assert done.returncode == 2
    assert "No such command 'recconcile'" in done.stdout


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=[name for name, _ in commands()])
def test_every_command_and_option_has_help(name, command):
    assert command.help
    assert all(getattr(option, "help", None) for option in command.params)
