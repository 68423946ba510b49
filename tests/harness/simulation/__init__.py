"""A deterministic simulation: two gateways, the offline Stripe, the database and the clock in one process."""
