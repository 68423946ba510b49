"""Figures of the business: what each customer adds to each month, kept as sums."""
