"""Tests of the offline Stripe; a package, so that a module here may have the name of one a floor above."""
