"""The package as npm has it: its types by TypeScript, its weight in an application's own build, its files."""

import json
import subprocess

import pytest

from gateway.web.bundle import SOURCES
from harness.npm import install

pytestmark = pytest.mark.soak  # npm takes a while

PACKAGE = SOURCES.parent
LIMITS = {"index": 6_000, "elements/pricing-table": 14_000, "elements": 30_000}


@pytest.fixture(scope="module")
def run():
    """Runs a program of npm in the package's folder; what it prints."""
    install(PACKAGE, "TypeScript's compiler and the sizes of a build are")

    def run(*command: str) -> str:
        result = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, timeout=100, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    return run


def test_typescript_finds_nothing_wrong(run):
    assert run("npm", "run", "--silent", "check") == ""


def test_it_weighs_little_in_an_applications_own_build(run):
    sizes = json.loads(run("npm", "run", "--silent", "sizes"))
    print(json.dumps(sizes, indent=2))  # noqa: T201 - `make web` shows it
    assert {name: size for name, size in sizes.items() if size > LIMITS.get(name, 30_000)} == {}


def test_what_is_published_is_the_sources_and_their_types(run, tmp_path):
    (packed,) = json.loads(run("npm", "pack", "--json", "--pack-destination", str(tmp_path)))
    names = {each["path"] for each in packed["files"]}
    sources = {f"src/{path.relative_to(SOURCES).as_posix()}" for path in SOURCES.rglob("*") if path.is_file()}
    assert sources <= names
    assert {"types/index.d.ts", "types/react.d.ts", "types/types.d.ts", "package.json"} <= names
    assert not {name for name in names if "node_modules" in name}
    # A server may import it, where there is no browser.
    program = 'import("./src/elements.js").then(({ PricingTable }) => console.log(typeof PricingTable))'
    assert run("node", "--eval", program) == "function\n"
