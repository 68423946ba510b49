"""The tables, columns only: one file for each noun.

Importing this package fills `SQLModel.metadata` with all of them.
"""

from gateway.models import (
    audit,
    checkout,
    columns,
    credits,  # noqa: A004
    figures,
    inbox,
    infra,
    metering,
    mirrored,
    outbound,
    purchases,
    retention,
    subscriptions,
)

__all__ = [
    "audit",
    "checkout",
    "columns",
    "credits",
    "figures",
    "inbox",
    "infra",
    "metering",
    "mirrored",
    "outbound",
    "purchases",
    "retention",
    "subscriptions",
]
