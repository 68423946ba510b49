"""Prices as a file: what is sold, kept beside the code, compared with Stripe and written there."""
