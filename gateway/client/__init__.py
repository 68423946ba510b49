"""The client for back ends in Python. It needs httpx and nothing else of what the gateway needs.

`Client` and `AsyncClient` ask; what they ask stands in `gateway.client.documents`. `verify_webhook` is for what the
gateway tells the application.
"""

from gateway.client.errors import BillingError, Refused, Unavailable
from gateway.client.http import Access, AsyncClient, Client
from gateway.client.operations import Mutation, Query, Request
from gateway.client.webhooks import Message, WebhookError, verify_webhook

__all__ = [
    "Access",
    "AsyncClient",
    "BillingError",
    "Client",
    "Message",
    "Mutation",
    "Query",
    "Refused",
    "Request",
    "Unavailable",
    "WebhookError",
    "verify_webhook",
]
