"""Customers: whose they are, and what belongs to them."""
