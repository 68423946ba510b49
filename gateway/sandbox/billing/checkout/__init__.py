"""Checkout sessions: the cart, and what submitting one does."""
