"""GraphiQL's page, its headers, and how its files get there."""

import os
import re
import shutil
import subprocess
import sys

import httpx
import pytest
from graphql import build_schema, parse, validate
from starlette.applications import Starlette

from gateway.graphql.ide import assets
from gateway.graphql.ide import page as graphiql
from gateway.graphql.schema import sdl
from harness.paths import ROOT

# Stands in for npm at its command line: writes the tarballs that it was asked for, with other content.
FORGER = """#!{python}
import io, pathlib, sys, tarfile
folder = next(a.partition("=")[2] for a in sys.argv if a.startswith("--pack-destination="))
for name in (a for a in sys.argv if "@" in a and "=" not in a):
    with tarfile.open(pathlib.Path(folder, name.replace("@", "-") + ".tgz"), "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("package/LICENSE"), io.BytesIO())
"""
BROKEN = "#!{python}\nimport sys\nsys.exit('npm error code ECONNREFUSED\\nnpm error connect ECONNREFUSED 127.0.0.1:9')"


@pytest.fixture
def install(tmp_path):
    """Runs the script in a folder of its own, with only the given program as npm."""
    script = shutil.copy(assets.__file__, tmp_path / "assets.py")

    def run(npm: str | None = None) -> subprocess.CompletedProcess[str]:
        (tmp_path / "bin").mkdir(exist_ok=True)
        if npm:
            program = tmp_path / "bin" / "npm"
            program.write_text(npm.format(python=sys.executable))
            program.chmod(0o755)
        environment = {**os.environ, "PATH": str(tmp_path / "bin")}
        return subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
async def client(graphiql_files):
    app = Starlette(routes=graphiql.static_routes())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        yield client


def test_without_npm_one_line_says_how_to_get_the_files(install):
    result = install()
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "install Node.js with npm" in result.stderr
    assert "python -m gateway.graphql.ide.assets" in result.stderr


def test_when_npm_fails_one_line_says_why(install):
    result = install(BROKEN)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "ECONNREFUSED" in result.stderr


def test_a_package_that_is_not_the_reviewed_one_is_refused_and_nothing_of_it_kept(install, tmp_path):
    result = install(FORGER)
    assert result.returncode == 1
    assert "is not the published one" in result.stderr
    assert not (tmp_path / "static").exists()


def test_npm_is_not_asked_again_when_the_files_are_there(install, tmp_path, graphiql_files):
    shutil.copytree(assets.STATIC, tmp_path / "static")
    result = install()
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_without_the_files_the_page_says_how_to_get_them(tmp_path):
    shutil.copytree(ROOT / "gateway", tmp_path / "gateway", ignore=shutil.ignore_patterns("static", "__pycache__"))
    program = "from gateway.graphql.ide import page; r = page.graphiql_page(); print(r.status_code, r.body.decode())"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert result.startswith("503 ")
    assert "make assets" in result


def test_the_page_allows_no_foreign_host_no_inline_script_and_no_frame(graphiql_files):
    response = graphiql.graphiql_page()
    assert response.status_code == 200
    policy = dict(part.split(" ", 1) for part in response.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert not any("http" in sources or "*" in sources for sources in policy.values())


def test_only_in_development_the_page_offers_to_sign_in_as_a_sample_user(graphiql_files):
    assert "data-sign-in" not in graphiql.graphiql_page().body.decode()
    assert '<body data-sign-in="/dev">' in graphiql.graphiql_page(sample_users=True).body.decode()


async def test_everything_that_the_page_names_is_served(client):
    page = graphiql.graphiql_page().body.decode()
    names = [part.partition('"')[0] for part in page.split('"/')[1:]]
    assert len(names) == 5
    for name in names:
        response = await client.get(f"/{name}")
        assert response.status_code == 200
        assert response.headers["content-type"].split(";")[0] in {"text/javascript", "text/css"}


async def test_a_file_whose_url_has_its_release_is_kept_forever_and_our_own_script_is_not(client):
    vendored = await client.get(f"/graphql/static/{assets.PACKAGES[0].folder}/LICENSE")
    assert "immutable" in vendored.headers["cache-control"]
    own = await client.get("/graphql/static/graphiql.js")
    assert own.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["assets.py", "../assets.py", "%2e%2e/assets.py", "graphiql-4.1.2/", "graphiql-4.1.2/x"]
)
async def test_only_the_listed_files_are_served(client, path):
    assert (await client.get(f"/graphql/static/{path}")).status_code == 404


def test_the_documents_in_the_pages_fit_the_schema():
    own = re.findall(r"const [A-Z_]+ = `([^`]*)`", (ROOT / "gateway/graphql/ide/graphiql.js").read_text())
    elements = [path.read_text() for path in (ROOT / "gateway/web/src/documents").glob("*.graphql")]
    assert len(own) >= 2
    assert len(elements) >= 2
    schema = build_schema(sdl())
    for document in (*own, *elements):
        assert validate(schema, parse(document)) == []
