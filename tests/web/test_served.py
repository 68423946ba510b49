"""What the gateway serves of the package for browsers: sizes, hashes, headers; and that nothing is out of step."""

import gzip
import re
from base64 import b64encode
from hashlib import sha384
from html import unescape

import httpx
import pytest
from starlette.applications import Starlette

from gateway.web.bundle import SOURCES, Bundle
from gateway.web.generate import generated
from gateway.web.routes import BUNDLES, web_routes

LIMITS = {"/elements/pricing-table.js": 14 * 1024, "/elements/client.js": 6_000, "/elements.js": 30_000}
"""The most bytes that a file may have on its way, compressed."""


@pytest.fixture
async def client():
    app = Starlette(routes=web_routes())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        yield client


def test_what_is_generated_from_the_schema_stands_in_the_files():
    stale = [path.name for path, text in generated().items() if not path.exists() or path.read_text() != text]
    assert stale == [], "run `python -m gateway.web.generate`"


@pytest.mark.parametrize("path", BUNDLES)
async def test_a_file_is_whole_small_and_known_by_its_hash(client, path):
    answer = await client.get(path, headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert int(answer.headers["content-length"]) <= LIMITS.get(path, 20_000)
    plain = await client.get(path, headers={"Accept-Encoding": "identity"})
    assert plain.content == answer.content == gzip.decompress(BUNDLES[path].compressed)
    assert not re.findall(r"^(?:import |export (?!\{))", plain.text, re.MULTILINE)
    assert plain.text.count("\nexport {") == 1
    again = await client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_the_page_gives_the_tag_with_the_hash_of_the_file(client):
    page = await client.get("/elements")
    (pinned,) = re.findall(r'src="http://gateway/elements.js" integrity="([^"]+)" crossorigin', unescape(page.text))
    file = (await client.get("/elements.js")).content
    assert pinned == f"sha384-{b64encode(sha384(file).digest()).decode()}"
    assert "script-src 'self'; style-src 'self'" in page.headers["content-security-policy"]


async def test_who_calls_the_gateway_by_a_hostile_name_gets_no_markup_of_it(client):
    page = await client.get("/elements", headers={"Host": '"><script>alert(1)</script>'})
    assert "<script>alert" not in page.text


def test_two_modules_with_the_same_name_for_something_are_refused(tmp_path):
    (tmp_path / "one.js").write_text("export const same = 1;\n")
    (tmp_path / "two.js").write_text(
        'import { same } from "./one.js";\n\nconst same2 = same;\nexport const other = same2;\n'
    )
    assert b"export { other };" in Bundle("two.js", tmp_path).text
    (tmp_path / "two.js").write_text('import "./one.js";\n\nfunction same() {}\n')
    with pytest.raises(ValueError, match="both have a `same`"):
        _ = Bundle("two.js", tmp_path).text


def test_nothing_is_ever_parsed_as_html_or_styled_inline():
    found = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|setHTML|\.style\.|cssText|eval\(|Function\("
    )
    assert [path.name for path in SOURCES.rglob("*.js") if found.search(path.read_text())] == []
