"""The faithful local copy of what Stripe holds."""
