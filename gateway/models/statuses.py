"""The sets of subscription statuses that rules speak of, defined once (Stripe, "Subscription statuses")."""

ENTITLED = frozenset({"trialing", "active"})
"""Access needs no further check."""
OCCUPYING = frozenset({"trialing", "active", "past_due", "unpaid", "paused"})
"""A second subscription to the same product is refused. An `incomplete` one is not paid and ends within a day."""
FINAL = frozenset({"canceled", "incomplete_expired"})
"""No other status follows."""
