"""The offline Stripe: its API, its hosted pages, its clock, its webhooks. Imports nothing of the gateway."""

from gateway.sandbox.app import create_sandbox
from gateway.sandbox.options import SandboxOptions

__all__ = ["SandboxOptions", "create_sandbox"]
