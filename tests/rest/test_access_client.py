"""The client of docs/access.md, as it stands there."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.gateway import SERVICE_TOKEN, connected, make_world
from harness.rows import NOW, customer, item, product, put, subscription
from harness.waiting import free_port

PAGE = Path(__file__).parents[2] / "docs/access.md"


@pytest.fixture
def connect():
    """Makes clients, whose connections are closed at the end."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own page
    made = []

    def make(*where, **options):
        made.append(names["Access"](*where, **options))
        return made[-1]

    yield make
    for client in made:
        client._http.close()


def test_it_answers_as_the_gateway_does_and_as_it_did_last_while_it_is_away(connect, sqlite_url):
    with connected(sqlite_url) as connection:
        put(connection, product("pro", meta={"features": "boards"}), customer(external_id="au/th|ada"))
        put(connection, subscription(as_of=int(NOW.timestamp())), item("si_1", "month", "pro"))
    with make_world(sqlite_url, fill=False) as world:
        client = connect(world.url, SERVICE_TOKEN, patience=10)
        asked = [("au/th|ada", "boards"), ("au/th|ada", "sso"), ("bob", "boards")]
        assert [client.allowed(*each) for each in asked] == [True, False, False]
        with world.renamed("customer", "elsewhere"):
            assert client.allowed("eve", "boards")
        with pytest.raises(httpx.HTTPStatusError):
            connect(world.url, "a-token-that-is-wrong", patience=10).allowed("bob", "boards")
    assert [client.allowed(*each) for each in asked] == [True, False, False]
    assert connect(f"http://127.0.0.1:{free_port()}", SERVICE_TOKEN).allowed("bob", "boards")
