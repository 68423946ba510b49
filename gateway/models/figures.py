"""Figures of the business: what each customer adds to each month, and the sums."""

from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from gateway.models.columns import Row, partial_index


class CustomerFigures(Row, table=True):
    """What one customer has added to the sums.

    `parts` is a list of month, currency, name, amount and count. `revisions` is the sum of the revisions of the
    invoices and subscriptions that they follow from: another sum means that they are old. `due` says that something was
    written about the customer since.
    """

    __tablename__ = "customer_figures"
    __table_args__ = (partial_index("ix_customer_figures_due", "customer_id", where="due"),)

    customer_id: str = Field(primary_key=True)
    parts: list[list[Any]] = Field(default_factory=list, sa_type=sa.JSON)
    revisions: int = Field(default=0, sa_type=sa.BigInteger)
    due: bool = True


class Figure(Row, table=True):
    """A sum over all customers: of what `name` says, in one month (2026-11), in one currency."""

    __tablename__ = "figure"

    month: str = Field(primary_key=True)
    currency: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    amount: int = Field(default=0, sa_type=sa.BigInteger)
    count: int = Field(default=0, sa_type=sa.BigInteger)
