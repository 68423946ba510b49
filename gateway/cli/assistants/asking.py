"""Ask a running gateway, by the documents of this package and by no other: an assistant never writes a query."""

import re
from pathlib import Path
from typing import Any

import httpx
import orjson

TIMEOUT_SECONDS = 30.0
_NAME = re.compile(r"(?:query|mutation) (\w+)")


class Failed(Exception):
    """What the assistant is told instead of an answer."""


def documents() -> dict[str, str]:
    """Return the documents by the names of their operations. The gateway trusts each by its hash."""
    manifest = orjson.loads((Path(__file__).parent / "documents.json").read_bytes())
    return {found[1]: text for text in manifest.values() if (found := _NAME.match(text))}


class Gateway:
    """A running gateway, asked as one operator; over plain HTTP past any proxy, which would read the token.

    Args:
        url: where it is.
        token: the operator's.
        transport: how requests are sent; None is over the network.
    """

    def __init__(self, url: str, token: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.AsyncClient(
            base_url=url,
            headers=headers,
            timeout=TIMEOUT_SECONDS,
            transport=transport,
            follow_redirects=False,
            trust_env=httpx.URL(url).scheme == "https",
        )
        self._documents = documents()

    async def ask(self, name: str, **variables: Any) -> dict[str, Any]:
        """Run one of the documents; its `data`.

        Raises:
            Failed: the gateway refuses it or cannot be reached, in words.
        """
        body = {"query": self._documents[name], "operationName": name, "variables": variables}
        try:
            response = await self._http.post("/graphql", json=body)
            answer = response.json()
        except httpx.HTTPError as error:
            raise Failed(f"the gateway cannot be reached: {type(error).__name__}") from None
        except ValueError:
            raise Failed(f"the gateway's answer is no JSON (status {response.status_code})") from None
        if errors := answer.get("errors"):
            raise Failed("; ".join(f"{each['message']} ({_code(each)})" for each in errors))
        data: dict[str, Any] = answer["data"]
        return data

    async def read(self, name: str, **variables: Any) -> dict[str, Any]:
        """Run a query; what stands below `operator`."""
        found: dict[str, Any] = (await self.ask(name, **variables))["operator"]
        return found

    async def customer(self, name: str, id: str, **variables: Any) -> dict[str, Any]:
        """Run a query about one customer.

        Raises:
            Failed: there is none, as well.
        """
        found: dict[str, Any] | None = (await self.read(name, id=id, **variables))["customer"]
        if found is None:
            raise Failed(f"there is no customer {id}: look for it with find_customers")
        return found

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _code(error: dict[str, Any]) -> str:
    return str((error.get("extensions") or {}).get("code", "ERROR"))
