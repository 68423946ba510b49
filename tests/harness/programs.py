"""Programs of other people that tests run against the offline Stripe, installed outside this repository."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.npm import alone

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "billing-gateway-programs"
PATIENCE_SECONDS = 300


def python_packages(name: str, requirements: Sequence[str]) -> Path:
    """Install packages of PyPI, once for all test processes and later runs; return the folder to import them from.

    Args:
        name: the beginning of the folder's name.
        requirements: exact versions of the program and of what it needs.
    """
    folder = CACHE / f"{name}-{_fingerprint(*requirements, sys.version)}"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable]
    _install(folder, [[*tool, "--target", str(folder), *requirements] for tool in (uv, pip)])
    return folder


def node_packages(project: Path) -> Path:
    """Install a project of npm, once for all test processes and later runs; return its folder outside the repository.

    Args:
        project: the folder of its `package.json`, which pins exact versions, and of its scripts, which are copied.
    """
    if shutil.which("npm") is None:
        _not_here(f"npm is missing: {project.name} is not run")
    folder = CACHE / f"{project.name}-{_fingerprint((project / 'package.json').read_text())}"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(project / "package.json", folder)
    npm = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--no-package-lock", "--silent"]
    _install(folder, [npm])
    for script in project.glob("*.[cm]js"):
        shutil.copy(script, folder)
    return folder


def run(command: Sequence[str | Path], *, cwd: Path | None = None, **environment: str) -> str:
    """Run a program to its end and return what it printed; the test fails with its last words where it fails.

    Args:
        command: the program and its arguments.
        cwd: the folder that it runs in.
        environment: what it finds in its environment besides the path and the home folder.
    """
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    ended = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, (ended.stdout + ended.stderr)[-6000:]
    return ended.stdout


def _install(folder: Path, attempts: list[list[str]]) -> None:
    """Run the first installer that succeeds, unless the folder is complete already."""
    stamp = folder / ".installed"
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder.with_name(f"{folder.name}.lock")):
        if stamp.exists():
            return
        for command in attempts:
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
            if ended.returncode == 0:
                stamp.touch()
                return
    _not_here(f"{folder.name} could not be installed from its registry: {ended.stderr.strip()[-300:]}")


def _not_here(reason: str) -> None:
    """Skip what cannot be installed; CI, which reaches the registries, fails instead."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _fingerprint(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
