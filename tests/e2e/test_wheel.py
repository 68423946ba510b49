"""What is published: a wheel that, installed by itself, is the whole gateway."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
import zipfile

import httpx
import pytest
from e2e.test_processes import free_port

from gateway.graphql.ide import assets
from harness.paths import ROOT
from harness.waiting import answering

pytestmark = pytest.mark.soak  # it takes a while


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, graphiql_files):
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_it_carries_every_file_of_the_package_and_graphiql_and_nothing_else(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "gateway"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    vendored = {path.relative_to(ROOT).as_posix() for package in assets.PACKAGES for path in package.installed}
    assert names == set(tracked.stdout.splitlines()) | vendored
    assert any(name.endswith("LICENSE") for name in vendored)


@pytest.fixture(scope="module")
def home(wheel, tmp_path_factory):
    """A virtual environment with the wheel, and with what it depends on from this one."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home)
    pip = [sys.executable, "-m", "pip", "--python", home / "bin/python", "install", "--no-deps", "--quiet", wheel]
    subprocess.run(pip, check=True, capture_output=True, timeout=60)
    packages = next(home.glob("lib/python*/site-packages"))
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    return home


def test_installed_it_gives_pytest_the_offline_stripe(home, tmp_path):
    example = re.findall(r"```python\n(.*?)```", (ROOT / "docs/offline-stripe.md").read_text(), re.DOTALL)
    for name, text in zip(("tea.py", "test_tea.py"), example, strict=True):
        (tmp_path / name).write_text(text)
    command = [home / "bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "1 passed" in result.stdout, result.stdout + result.stderr


def test_installed_alone_it_serves_and_writes_nothing_but_its_database(home, sqlite_template, tmp_path):
    folder = tmp_path / "read-only"
    folder.mkdir()
    port = free_port()
    url, environment = (
        f"http://127.0.0.1:{port}",
        {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "DATABASE_URL": f"sqlite:///{tmp_path}/gateway.db",
            "STRIPE_SECRET_KEY": "sk_test_x",
            "STRIPE_API_BASE": "http://127.0.0.1:9",
            "GATEWAY_GRAPHIQL": "on",
        },
    )

    def gateway(*arguments):
        return subprocess.run(
            [home / "bin/gateway", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert "serve" in gateway("--help")
    shutil.copy(sqlite_template, tmp_path / "gateway.db")
    server = subprocess.Popen([home / "bin/gateway", "serve", "--port", str(port)], cwd=folder, env=environment)
    try:
        answering(f"{url}/healthz", server)
        assert httpx.get(f"{url}/readyz").json() == {"status": "ok"}
        answer = httpx.post(f"{url}/graphql", json={"query": "{ pricing { products { product { id } } } }"})
        assert answer.json() == {"data": {"pricing": {"products": []}}}
        page = httpx.get(f"{url}/graphql", headers={"Accept": "text/html"})
        script = page.text.partition('<script src="')[2].partition('"')[0]
        assert httpx.get(f"{url}{script}").status_code == 200
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)
    assert list(folder.rglob("*")) == []
    program = "import gateway, json; print(json.dumps(gateway.__file__))"
    where = subprocess.run([home / "bin/python", "-c", program], capture_output=True, check=True, cwd=folder)
    assert json.loads(where.stdout).startswith(str(home))
