"""Projects of npm that tests need, installed by their own locks."""

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

needs_node = pytest.mark.skipif(
    shutil.which("node") is None and not os.environ.get("CI"), reason="node is missing: its parser of URLs is not asked"
)


def install(project: Path, what: str) -> Path:
    """Install a project's dependencies, once for all test processes.

    Args:
        project: the folder of its `package.json` and `package-lock.json`.
        what: what is left out where npm is missing; the test is skipped then, and fails in CI.

    Returns:
        its `node_modules`.
    """
    if shutil.which("npm") is None:
        message = f"npm is missing: {what} left out"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    modules = project / "node_modules"
    stamp = modules / ".installed"
    lock = (project / "package-lock.json").read_text()
    with alone(project / "node_modules.lock"):
        if not stamp.exists() or stamp.read_text() != lock:
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=project, check=True)
            stamp.write_text(lock)
    return modules


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """One process at a time: the tests run in several."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
