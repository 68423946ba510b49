"""Counted features: what is consumed, what is held for work under way, and how much is left in the period."""
