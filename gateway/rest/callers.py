"""Who asks about a user's features: the application's own back end, or a signed-in user."""

from gateway.auth.authenticator import Authenticator
from gateway.auth.principal import SERVICE, Principal
from gateway.errors import TokenExpired, Unauthenticated
from gateway.http.rate_limit import RateLimiter
from gateway.http.request import Request


class Callers:
    """Proves who sends a request.

    Args:
        authenticator: proves tokens.
        limiter: counts wrong tokens, and the requests of users by their address.
    """

    def __init__(self, authenticator: Authenticator, limiter: RateLimiter) -> None:
        self._authenticator = authenticator
        self._limiter = limiter

    def recall(self, request: Request) -> Principal | None:
        """Return the caller, if that can be said at once; nothing is counted."""
        header = request.headers.get(b"authorization")
        return self._authenticator.recall(header.decode("latin-1")) if header is not None else None

    def admit(self, caller: Principal, request: Request) -> bool:
        """Count a request of a caller who was recalled; False where `identify` must decide."""
        return caller.is_service or self._limiter.admit(request.client)

    async def identify(self, request: Request) -> Principal:
        """Return the caller: the back end, or a user whose request was counted.

        Raises:
            Unauthenticated: it is neither.
            RateLimited: nor were the many before it, from the same address; or the user asks too often.
        """
        header = request.headers.get(b"authorization")
        text = header.decode("latin-1") if header is not None else None
        if self._authenticator.is_service(text):
            return SERVICE
        try:
            caller = await self._authenticator.authenticate(text)
        except TokenExpired:
            raise
        except Unauthenticated:
            await self._limiter.wrong_token(request.client)
            raise
        if caller.subject is None:
            await self._limiter.wrong_token(request.client)
            raise Unauthenticated("this needs a service token, or the token of the user whom it is about")
        await self._limiter.request(request.client)
        return caller
