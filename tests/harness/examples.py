"""The examples of `docs/examples`, copied to where they find what they need, and started."""

import json
import os
import shutil
import subprocess
import tarfile
from contextlib import contextmanager

import pytest

from gateway.web.bundle import SOURCES
from harness.npm import install
from harness.paths import ROOT, TESTS
from harness.waiting import answering

EXAMPLES = ROOT / "docs" / "examples"
TOOLS = TESTS / "examples"
BUILDS = TOOLS / ".builds"


def run(*command, cwd):
    """Run a program to its end."""
    environment = {**os.environ, "NEXT_TELEMETRY_DISABLED": "1"}
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="session")
def modules(tmp_path_factory):
    """Install the examples' dependencies, and the package among them as it would be published."""
    modules = install(TOOLS, "the examples are")
    install(SOURCES.parent, "the examples are")
    folder = tmp_path_factory.mktemp("package")
    (packed,) = json.loads(run("npm", "pack", "--json", "--pack-destination", folder, cwd=SOURCES.parent))
    target = modules / "billing-gateway-web"
    shutil.rmtree(target, ignore_errors=True)
    with tarfile.open(folder / packed["filename"]) as archive:
        archive.extractall(folder, filter="data")
    shutil.move(folder / "package", target)


def copied(name, gateway="http://127.0.0.1:8000", *, to=None):
    """Copy an example to where npm's tools find what it needs; it calls this gateway. The folder of the copy."""
    folder = BUILDS / (to or name)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("dist", ".next"))
    for file in (path for path in folder.rglob("*") if path.is_file()):
        file.write_text(file.read_text().replace("http://127.0.0.1:8000", gateway))
    return folder


@contextmanager
def started(command, url, **options):
    """A server that runs while the block does."""
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
    process = subprocess.Popen(command, **options)
    try:
        answering(url, process)
        yield
    finally:
        process.terminate()
        process.wait(20)
