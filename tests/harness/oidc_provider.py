"""An OpenID provider on a port of its own: it publishes keys, and signs whatever a test wants."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from harness.gateway import listening, serve

ISSUER, AUDIENCE = "https://login.example", "the-shop"
MAKERS = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "PS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


class Provider:
    """Its `keys` are published, once it is `answering`; `down` answers 503; `asked` counts the requests."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/keys"
        self.private: dict[str, Any] = {}
        self.keys: list[dict[str, Any]] = []
        self.down = False
        self.asked = 0
        self.answering = threading.Event()
        self.answering.set()
        self.add("first")

    def add(self, kid: str, algorithm: str = "ES256", **members: Any) -> None:
        """Make a key and publish it."""
        self.private[kid] = (algorithm, MAKERS[algorithm]())
        self.keys.append(self.published(kid, **members))

    def published(self, kid: str, **members: Any) -> dict[str, Any]:
        """The public half of a key."""
        algorithm, private = self.private[kid]
        public = jwt.get_algorithm_by_name(algorithm).to_jwk(private.public_key())
        return {**json.loads(public), "kid": kid, "use": "sig", **members}

    def sign(self, kid: str | None = "first", *, by: str | None = None, **claims: Any) -> dict[str, str]:
        """The headers of a user; a claim of None is left out. `by` signs with another key than it says."""
        algorithm, private = self.private[by or kid or "first"]
        header = {"kid": kid} if kid else {}
        token = jwt.encode(claims_of(**claims), private, algorithm=algorithm, headers=header)
        return {"Authorization": f"Bearer {token}"}

    async def answer(self, _request: Request) -> Response:
        self.asked += 1
        await asyncio.to_thread(self.answering.wait, 5)
        return Response(status_code=503) if self.down else Response(json.dumps({"keys": self.keys}))


def claims_of(**claims: Any) -> dict[str, Any]:
    """What a token of the provider claims."""
    usual = {"sub": "user_1", "iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 300}
    return {name: value for name, value in (usual | claims).items() if value is not None}


@contextlib.contextmanager
def running_provider(*, slow: bool = False) -> Iterator[Provider]:
    """A provider that answers while the block runs; a slow one not before its `answering` is set."""
    listener, url = listening()
    provider = Provider(url)
    if slow:
        provider.answering.clear()
    with serve(Starlette(routes=[Route("/keys", provider.answer)]), listener):
        yield provider
