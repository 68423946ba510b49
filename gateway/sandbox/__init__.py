"""The offline Stripe: its API, its hosted pages, its clock, its webhooks. Imports nothing of the gateway.

The server itself is imported when it is asked for: a gateway that only offers `gateway sandbox` does not carry it.
"""

from typing import TYPE_CHECKING, Any

from gateway.sandbox.options import SandboxOptions

if TYPE_CHECKING:
    from gateway.sandbox.app import create_sandbox

__all__ = ["SandboxOptions", "create_sandbox"]


def __getattr__(name: str) -> Any:
    if name != "create_sandbox":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gateway.sandbox.app import create_sandbox

    return create_sandbox
