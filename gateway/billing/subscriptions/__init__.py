"""Subscriptions: their state, the access they give, and their changes."""
