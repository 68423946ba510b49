"""What Stripe's own objects say of reported usage: the judge of the money game for what is billed by use.

It reads what the offline Stripe counted and what it billed, and knows nothing of the gateway's code.
"""

from collections.abc import Iterable, Sequence
from typing import Any

Json = dict[str, Any]


def check_forwarded(reported: dict[str, int], counted: Iterable[Json]) -> None:
    """Hold that each report has reached Stripe, once, with its amount.

    Args:
        reported: the amounts, by identifier.
        counted: the customer's meter events at Stripe.

    Raises:
        AssertionError: a report is missing, doubled, of another amount, or was never made.
    """
    found = sorted((event["identifier"], int(event["payload"]["value"])) for event in counted)
    assert found == sorted(reported.items()), f"{found} were counted of {reported}"


def check_billed(counted: Sequence[Json], lines: Sequence[Json], drafts: Sequence[Json], lives: Iterable[Json]) -> None:
    """Hold that what was used is billed once, in the period in which it was used, and nothing else is.

    Args:
        counted: the customer's meter events at Stripe.
        lines: the metered lines of finished invoices, and metered items that wait for an invoice.
        drafts: those of drafts, whose amounts may still be brought up to date.
        lives: of each metered item its id as `item`, and its time whose usage must be on an invoice by now: `start` and
            `end`, Unix seconds.

    Raises:
        AssertionError: usage is billed twice or not at all, or a line bills what was not used.
    """
    for line in lines:
        start, end = line["period"]["start"], line["period"]["end"]
        used = _used(counted, start, end)
        assert line["quantity"] == used, f"{line['quantity']} billed, {used} used from {start} to {end}: {line['id']}"
    for life in lives:
        periods = [each["period"] for each in (*lines, *drafts) if _item(each) == life["item"]]
        for event in counted:
            moment = event["timestamp"]
            if life["start"] <= moment < life["end"]:
                times = sum(period["start"] <= moment < period["end"] for period in periods)
                assert times == 1, f"usage of {moment} is billed {times} times, in {periods} of {life}"


def _used(counted: Sequence[Json], start: int, end: int) -> int:
    return sum(int(event["payload"]["value"]) for event in counted if start <= event["timestamp"] < end)


def _item(line: Json) -> str | None:
    """Return the subscription item of an invoice's line or of a waiting invoice item."""
    kinds = "subscription_item_details", "invoice_item_details", "subscription_details"
    found: str | None = next(its for kind in kinds if (its := line["parent"].get(kind)))["subscription_item"]
    return found
