"""One offline Stripe for all programs of a test process, begun again for each test, and one that has lived."""

import time
from collections.abc import Iterator

import pytest

from harness.lives import DAY, live
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


@pytest.fixture(scope="session")
def lived_stripe() -> Iterator[OfflineStripe]:
    """Two months of a shop, which programs read; they change nothing."""
    with offline_stripe("--clock", str(int(time.time()) - 63 * DAY)) as running:
        live(running)
        yield running
