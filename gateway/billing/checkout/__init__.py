"""Checkout: from a cart to Stripe's hosted page, and back."""
