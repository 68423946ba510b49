"""The routes of the API, which the resource modules fill by being imported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.sandbox.api.parameters import validate
from gateway.sandbox.options import API_VERSION

if TYPE_CHECKING:
    from gateway.sandbox.core.store import Obj

Handler = Callable[..., Any]
"""Called as `handler(sandbox, request, **path_parameters)`, answers the object to be returned, or a `Download`."""


@dataclass(frozen=True)
class Route:
    """One operation of the API; `params` names the SDK type that describes its parameters."""

    method: str
    path: str
    handler: Handler
    params: str | None
    legacy: tuple[str, ...]
    also: tuple[str, ...]
    older: Callable[[Obj], Obj] | None

    def checked(self, raw: Obj, version: str | None) -> Obj:
        """Return the validated parameters of a client that names this API version, or none."""
        if self.params == "*":
            return raw
        if self.older and version != API_VERSION:
            raw = self.older(raw)
        return validate(self.params, raw, self._unchecked(version))

    def _unchecked(self, version: str | None) -> tuple[str, ...]:
        return self.also if version == API_VERSION else self.also + self.legacy


_STATIC: dict[tuple[str, str], Route] = {}
_DYNAMIC: dict[tuple[str, int], list[tuple[list[str], Route]]] = {}


def route(
    method: str,
    path: str,
    *,
    params: str | None = None,
    legacy: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
    older: Callable[[Obj], Obj] | None = None,
) -> Callable[[Handler], Handler]:
    """Register a handler.

    Args:
        method: GET, POST or DELETE.
        path: As in Stripe's reference, with `{name}` for what is passed on as a keyword argument.
        params: The SDK's parameter type below `stripe.params`, e.g. `checkout.SessionCreateParams`; None takes
            no parameters but `expand`.
        legacy: Parameters of older API versions that are let through when the client does not name the current
            version.
        also: Parameters that the API has and the SDK's type lacks.
        older: Writes the parameters of an older API version in today's form, before they are checked.
    """

    def register(handler: Handler) -> Handler:
        entry = Route(method, path, handler, params, legacy, also, older)
        if "{" in path:
            segments = path.split("/")
            _DYNAMIC.setdefault((method, len(segments)), []).append((segments, entry))
        else:
            _STATIC[method, path] = entry
        return handler

    return register


def match(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the route for a path and the values of its `{name}`s; literal segments win over named ones."""
    static = _STATIC.get((method, path))
    if static:
        return static, {}
    segments = path.split("/")
    for pattern, entry in _DYNAMIC.get((method, len(segments)), ()):
        values: dict[str, Any] = {}
        for expected, actual in zip(pattern, segments, strict=True):
            if expected.startswith("{") and actual:
                values[expected[1:-1]] = actual
            elif expected != actual:
                break
        else:
            return entry, values
    return None


def routes() -> list[Route]:
    """Return every registered operation."""
    return [*_STATIC.values(), *(entry for entries in _DYNAMIC.values() for _, entry in entries)]
