"""Tests of the offline Stripe, in the order of its tree."""
