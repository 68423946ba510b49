"""What is written down of the customer's own pauses."""

from datetime import UTC, datetime

import pytest

from gateway.billing.subscriptions import own_pauses
from harness.rows import subscription as subscription_row

DAY = 86_400
KEY = "paused_by_customer_until_"
RESUMES = 20 * DAY
CLOSED = {KEY + str(22 * DAY): "5"}


@pytest.mark.parametrize(
    ("metadata", "begun", "ended"),
    [
        ({}, {KEY + str(21 * DAY): "10"}, {}),
        ({"plan": "a"}, {KEY + str(21 * DAY): "10"}, {}),
        ({KEY + "resumed": "5"}, {KEY + "resumed": "", KEY + str(21 * DAY): "5"}, {KEY + "resumed": "", **CLOSED}),
        ({KEY + str(30 * DAY): "5"}, {KEY + str(30 * DAY): "", KEY + str(21 * DAY): "5"}, None),  # is made shorter
        ({KEY + str(12 * DAY): "5"}, {KEY + str(12 * DAY): "", KEY + str(21 * DAY): "5"}, None),  # is made longer
        ({KEY + "9": "5"}, {KEY + "9": "5", KEY + str(21 * DAY): "10"}, {KEY + "9": "5"}),  # another is over
        ({KEY + "10": "5"}, {KEY + "10": "", KEY + str(21 * DAY): "5"}, {KEY + "10": "5"}),  # billed as it ended
        (
            {KEY + "resumed": "7", KEY + str(30 * DAY): "5"},  # of two that run, the earlier beginning stays
            {KEY + "resumed": "", KEY + str(30 * DAY): "", KEY + str(21 * DAY): "5"},
            {KEY + "resumed": "", KEY + str(30 * DAY): "", **CLOSED},
        ),
        ({KEY + "9": "soon"}, {KEY + "9": "", KEY + str(21 * DAY): "10"}, {KEY + "9": ""}),  # nobody can read it
    ],
)
def test_a_pause_is_written_down_with_what_is_paused(metadata, begun, ended):
    subscription = {"latest_invoice": {"created": 10}, "metadata": metadata}
    assert own_pauses.begun(subscription, RESUMES) == begun
    after = {name: text for name, text in (metadata | begun).items() if text}
    assert after | own_pauses.begun({**subscription, "metadata": after}, RESUMES) == after  # again says the same
    assert ended is None or own_pauses.ended(subscription, RESUMES + 7) == ended


@pytest.mark.parametrize(
    ("behavior", "second", "runs"),
    [("void", 4, False), ("void", 5, True), ("void", 9, True), ("void", 10, False), ("keep_as_draft", 7, False)],
)
def test_a_pause_of_the_customers_own_runs_from_its_beginning_to_its_end(behavior, second, runs):
    row = subscription_row(pause_behavior=behavior, meta={KEY + "9": "5"})
    assert own_pauses.holds(row, datetime.fromtimestamp(second, UTC)) is runs


def test_of_many_pauses_none_is_forgotten():
    metadata = {}
    for number in range(14):
        said = own_pauses.begun(
            {"latest_invoice": {"created": number * 4 * DAY}, "metadata": metadata}, number * 4 * DAY
        )
        metadata = {name: text for name, text in (metadata | said).items() if text}
    assert len(metadata) == 10
    assert metadata[KEY + str(17 * DAY)] == "0"  # the first five in one
