"""The only caller of Stripe."""
