"""The REST route that Stripe posts its events to, and the inbox behind it."""
