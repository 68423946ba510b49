"""The sets of statuses that rules speak of, defined once: of subscriptions and of invoices."""

ENTITLED = frozenset({"trialing", "active"})
"""Access needs no further check."""
OCCUPYING = frozenset({"trialing", "active", "past_due", "unpaid", "paused"})
"""A second subscription to the same product is refused. An `incomplete` one is not paid and ends within a day."""
FINAL = frozenset({"canceled", "incomplete_expired"})
"""No other status follows."""

OWED = frozenset({"open", "uncollectible"})
"""Invoices that are still owed. What is written off (`uncollectible`) was never paid."""
UNPAID = OWED | {"draft"}
"""Invoices that come before a change."""
