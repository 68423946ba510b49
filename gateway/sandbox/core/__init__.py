"""What every part of the offline Stripe stands on: state, time, money, and what a Stripe object is."""
