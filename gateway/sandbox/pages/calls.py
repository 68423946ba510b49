"""API calls that a page makes on behalf of the person in front of it: the same handlers, without HTTP and key."""

from collections.abc import Callable
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest

from gateway.sandbox.api.parameters import validate
from gateway.sandbox.api.routing import match
from gateway.sandbox.core.errors import StripeError
from gateway.sandbox.core.ports import Request, Sandbox
from gateway.sandbox.options import API_VERSION
from gateway.sandbox.pages import formats

Json = dict[str, Any]
T = TypeVar("T")


def sandbox_of(http: HttpRequest) -> Sandbox:
    """Return the sandbox that serves a page."""
    sandbox: Sandbox = http.app.state.sandbox
    return sandbox


def base_url(http: HttpRequest) -> str:
    """Return where the pages of this sandbox are, without a slash at the end."""
    return sandbox_of(http).options.public_url or str(http.base_url).rstrip("/")


def transact(http: HttpRequest, work: Callable[[], T], request: Request | None = None) -> T:
    """Do some work in one transaction.

    Raises:
        StripeError: the work refuses; what it had to keep (a failed payment) is kept.
    """
    refusal: StripeError
    with sandbox_of(http).serving(request or Request(http.method, http.url.path, base_url=base_url(http))):
        try:
            return work()
        except StripeError as error:
            if not error.keep:
                raise
            refusal = error
    raise refusal


def call(http: HttpRequest, method: str, path: str, params: Json | None = None, expand: tuple[str, ...] = ()) -> Json:
    """Do what ``method path`` of the API does and answer what it answers.

    Raises:
        StripeError: the operation refuses.
        LookupError: the API has no such path.
    """
    sandbox, found = sandbox_of(http), match(method, path)
    if found is None:
        raise LookupError(f"{method} {path}")
    entry, named = found
    request = Request(
        method,
        path,
        params=validate(entry.params, params or {}, ()),
        version=API_VERSION,
        base_url=base_url(http),
    )
    return transact(http, lambda: sandbox.present(entry.handler(sandbox, request, **named), expand), request)


def need(http: HttpRequest, kind: str) -> Json:
    """Return the object of the URL.

    Raises:
        HTTPException: 404, there is none.
    """
    found = sandbox_of(http).store.get(kind, http.path_params["id"])
    if found is None:
        raise HTTPException(404, f"There is no {formats.words(kind).lower()} {http.path_params['id']} here.")
    return found
