"""The running offline Stripe."""

from harness.sandbox import contracts, quiet_sdk, receiver, sandbox_factory, sandbox_server, stripe_client
from harness.stripe_contract import Contract

__all__ = ["contracts", "quiet_sdk", "receiver", "sandbox_factory", "sandbox_server", "stripe_client"]


def pytest_report_header() -> str:
    """Say which descriptions of Stripe's API judge answers and events."""
    found = Contract.place()
    return f"stripe's API description: the SDK's classes, and {found or 'no file of Stripe (STRIPE_OPENAPI)'}"
