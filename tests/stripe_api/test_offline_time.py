"""Who may move the time of the gateway: an offline Stripe that says so, and nobody else."""

from datetime import timedelta

import pytest

from gateway.clock import Clock
from gateway.errors import SettingsError
from gateway.settings import Settings
from gateway.stripe_api.offline_time import HEADER, OfflineTime

MOVED = {HEADER: "864000"}
AT_STRIPE = {"stripe_secret_key": "sk_test_x"}
ELSEWHERE = {"stripe_secret_key": "sk_test_x", "stripe_api_base": "http://127.0.0.1:12111"}


@pytest.mark.parametrize(
    ("given", "headers", "days"),
    [
        (ELSEWHERE, MOVED, 10),
        (ELSEWHERE, {HEADER: "-86400"}, -1),
        (ELSEWHERE, {"date": "Fri, 01 Jan 2100 00:00:00 GMT"}, 0),
        (AT_STRIPE, MOVED, 0),
        ({"stripe_secret_key": "sk_live_x"}, MOVED, 0),
    ],
    ids=["offline", "offline, back", "another server at another address", "Stripe, test", "Stripe, live"],
)
def test_only_what_calls_itself_the_offline_stripe_at_another_address_moves_the_time(given, headers, days):
    clock = Clock()
    OfflineTime(Settings.load(**given), clock).note(headers)
    assert clock.ahead == timedelta(days=days)


def test_a_live_key_never_meets_another_address():
    with pytest.raises(SettingsError, match="STRIPE_API_BASE"):
        Settings.load(stripe_secret_key="sk_live_x", stripe_api_base="http://127.0.0.1:12111")


async def test_stripe_itself_is_never_asked_for_its_time():
    await OfflineTime(Settings.load(**AT_STRIPE), Clock()).run()  # it returns at once
