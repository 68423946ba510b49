"""One offline Stripe for all programs of a test process, begun again for each test."""

from collections.abc import Iterator

import pytest

from harness.offline_stripe import OfflineStripe, offline_stripe


@pytest.fixture(scope="session")
def running_stripe() -> Iterator[OfflineStripe]:
    with offline_stripe() as running:
        yield running


@pytest.fixture
def stripe(running_stripe) -> OfflineStripe:
    """An empty offline Stripe."""
    running_stripe.lever("reset")
    return running_stripe
