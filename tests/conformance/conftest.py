"""The running offline Stripe, for Stripe's own clients."""

from conformance import triggers

from harness.sandbox import contracts, receiver, sandbox_factory, sandbox_server

__all__ = ["contracts", "receiver", "sandbox_factory", "sandbox_server"]


def pytest_terminal_summary(terminalreporter) -> None:
    """Say which triggers of the Stripe CLI were played, and why others are not."""
    triggers.report(terminalreporter)
