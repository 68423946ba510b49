"""API calls that a page makes on behalf of the person in front of it: the same handlers, without HTTP and key."""

from typing import Any

from starlette.requests import Request as HttpRequest

from gateway.sandbox.errors import StripeError
from gateway.sandbox.options import API_VERSION
from gateway.sandbox.params import validate
from gateway.sandbox.routing import Request, match
from gateway.sandbox.world import Sandbox

Json = dict[str, Any]


def sandbox_of(http: HttpRequest) -> Sandbox:
    """The sandbox that serves a page."""
    sandbox: Sandbox = http.app.state.sandbox
    return sandbox


def base_url(http: HttpRequest) -> str:
    """Where the pages of this sandbox are, without a slash at the end."""
    return sandbox_of(http).options.public_url or str(http.base_url).rstrip("/")


def call(http: HttpRequest, method: str, path: str, params: Json | None = None, expand: tuple[str, ...] = ()) -> Json:
    """Do what ``method path`` of the API does, in one transaction, and answer what it answers.

    Raises:
        StripeError: the operation refuses; what it had to keep (a failed payment) is kept.
        LookupError: the API has no such path.
    """
    sandbox = sandbox_of(http)
    found = match(method, path)
    if found is None:
        raise LookupError(f"{method} {path}")
    entry, named = found
    request = Request(
        method=method,
        path=path,
        params=validate(entry.params, params or {}, ()),
        expand=expand,
        version=API_VERSION,
        base_url=base_url(http),
    )
    refusal: StripeError
    with sandbox.serving(request):
        try:
            return sandbox.present(entry.handler(sandbox, request, **named), expand)
        except StripeError as error:
            if not error.keep:
                raise
            refusal = error
    raise refusal
