"""Usage: reported here, forwarded to Stripe's meters."""
