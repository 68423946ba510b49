"""What each of several processes of `gateway serve` serves: it is started anew, and imports as the first one does."""

from starlette.types import ASGIApp

from gateway.http import collector, plain_imports


def from_environment() -> ASGIApp:
    """Return the gateway with its settings from the environment."""
    collector.pause()
    plain_imports.prepare()
    plain_imports.defer_validators()
    from gateway.app import from_environment

    collector.resume()
    return from_environment()
