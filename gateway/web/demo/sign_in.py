"""The sign-in of `gateway dev`: two sample users for the shop and GraphiQL.

It stands for the OpenID provider of an application. There is no password, because there is nothing to protect: the
routes exist in development only, and sign with a secret that was made up for it.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import jwt
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.settings import Settings

LIFETIME_SECONDS = 12 * 3600


@dataclass(frozen=True, slots=True)
class User:
    """A sample user, with the names of OpenID Connect."""

    subject: str
    name: str
    email: str


USERS = {
    user.email: user
    for user in (
        User("user_ada", "Ada Lovelace", "ada@example.com"),
        User("user_grace", "Grace Hopper", "grace@example.com"),
    )
}


def token_for(user: User, settings: Settings) -> str:
    """Return a token as a provider would sign it, with the claims that the gateway checks.

    Args:
        user: who signs in.
        settings: with `AUTH_HS256_SECRET`.
    """
    now = int(time.time())
    claims = {
        settings.auth_subject_claim: user.subject,
        "name": user.name,
        "email": user.email,
        "email_verified": True,
        "iat": now,
        "exp": now + LIFETIME_SECONDS,
        "iss": settings.auth_issuer,
        "aud": settings.auth_audience,
    }
    known = {name: value for name, value in claims.items() if value is not None}
    secret = settings.auth_hs256_secret
    return jwt.encode(known, secret.get_secret_value() if secret else "", algorithm="HS256")


def sign_in_routes(settings: Settings, middleware: Sequence[Middleware] = ()) -> list[BaseRoute]:
    """Return the routes: `GET /dev/users` lists the users, `POST /dev/sign-in` with `{"email": …}` gives one a token.

    Args:
        settings: the gateway's settings.
        middleware: around both.
    """

    async def users(_request: Request) -> Response:
        return JSONResponse([asdict(user) for user in USERS.values()])

    async def sign_in(request: Request) -> Response:
        try:
            body = await request.json()
        except (ValueError, RecursionError):
            body = None
        email = body.get("email") if isinstance(body, dict) else None
        user = USERS.get(email) if isinstance(email, str) else None
        if user is None:
            return JSONResponse({"error": f"sign in as {' or '.join(USERS)}"}, status_code=404)
        return JSONResponse(
            {
                "token": token_for(user, settings),
                "expiresAt": int(time.time()) + LIFETIME_SECONDS,
                "user": asdict(user),
            },
            headers={"Cache-Control": "no-store"},
        )

    return [
        Route("/dev/users", users, methods=["GET"], middleware=middleware),
        Route("/dev/sign-in", sign_in, methods=["POST"], middleware=middleware),
    ]
