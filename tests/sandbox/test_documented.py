"""What the README says about using the offline Stripe alone is true."""

import re
import subprocess
import sys
from pathlib import Path

from starlette.routing import Match

from gateway.sandbox import create_sandbox

README = (Path(__file__).parents[2] / "README.md").read_text()
SECTION = README.partition("## The offline Stripe\n")[2].partition("\n## ")[0]


def test_the_fixtures_and_the_test_of_the_readme_pass(tmp_path):
    (tmp_path / "test_tea.py").write_text(re.search(r"```python\n(.*?)```", SECTION, re.DOTALL)[1])
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "1 passed" in result.stdout, result.stdout + result.stderr


def test_every_lever_of_the_readme_exists():
    levers = re.findall(r"`(GET|POST) (/_sandbox/[^`]+)`", SECTION)
    assert len(levers) == 9
    routes = create_sandbox().routes
    for method, path in levers:
        scope = {"type": "http", "method": method, "path": path}
        assert any(route.matches(scope)[0] == Match.FULL for route in routes), f"{method} {path} is not there"


def test_every_option_that_the_readme_names_exists():
    shown = subprocess.run(
        [sys.executable, "-m", "gateway", "sandbox", "--help"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    named = set(re.findall(r"`(?:gateway sandbox )?(--[a-z-]+)", SECTION))
    assert {"--clock", "--chaos", "--seed"} <= named
    assert {option for option in named if option not in shown} == set()
