"""The credit ledger: what is appended here is never changed by what Stripe says later."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from gateway.models.columns import Row, UtcDateTime, partial_index

OPEN_LOT = "granted - revoked - spent - expired <> 0"
"""Of a lot with something left, or with a debt. An index over it is used where a query repeats it literally."""
FILLED_LOT = "granted - revoked - spent - expired > 0"
"""Of a lot with something left."""
CARRYING_LOT = "CAST(debts AS TEXT) <> '{}'"
"""Of a lot that carries what was spent from others."""


class CreditAccount(Row, table=True):
    """The credits of one customer, of one kind: the row that everybody who changes them locks first.

    `customer_id`, here and in the tables below, is the customer's for the kind without a name. For another it is the
    customer's, a blank and the kind (`gateway/billing/credits/kinds.py`), and `owner_id` is the customer then.
    `balance` is the sum of the entries. `clock` is the latest moment at which anything was granted, on Stripe's clock:
    time is at least that late, also where a test clock runs ahead of ours.
    """

    __tablename__ = "credit_account"

    customer_id: str = Field(primary_key=True)
    balance: int = Field(default=0, sa_type=sa.BigInteger)
    clock: datetime = Field(sa_type=UtcDateTime, index=True)
    owner_id: str | None = Field(default=None, index=True)


class CreditLot(Row, table=True):
    """The credits that one line of a purchase has brought, and where they are now.

    The id is that of the invoice line or of the checkout's line item, with the kind if it has a name, as has
    `purchase_id`: a line grants once of a kind, however often and by whichever events it is told. `granted` is fixed
    then; `revoked`, `spent` and `expired` are the sums of the entries about it. `units` are the credits of a full
    period (of lots from before 0.2: null, `granted`). `debts` says how much of `spent` is carried for which other lot,
    which was taken back after it had been spent.
    """

    __tablename__ = "credit_lot"
    __table_args__ = (
        partial_index("ix_credit_lot_open", *("customer_id", "expires_at", "granted_at", "id"), where=OPEN_LOT),
        partial_index("ix_credit_lot_expiry", "expires_at", where=FILLED_LOT),
        partial_index("ix_credit_lot_carrying", "customer_id", where=CARRYING_LOT),
    )

    id: str = Field(primary_key=True)
    customer_id: str = Field(index=True)
    purchase_id: str = Field(index=True)
    granted: int = Field(sa_type=sa.BigInteger)
    revoked: int = Field(default=0, sa_type=sa.BigInteger)
    spent: int = Field(default=0, sa_type=sa.BigInteger)
    expired: int = Field(default=0, sa_type=sa.BigInteger)
    units: int | None = Field(default=None, sa_type=sa.BigInteger)
    debts: dict[str, int] = Field(default_factory=dict, sa_type=sa.JSON, sa_column_kwargs={"server_default": "{}"})
    granted_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class CreditEntry(Row, table=True):
    """One line of the credit ledger, which only grows.

    `kind` is `grant`, `revoke`, `restore`, `spend` or `expire`; `amount` is signed; `balance` is the account's after
    it. `key` and `fingerprint` belong to a spend: the caller's idempotency key and a digest of what was asked under it.
    `parts` says how much of a spend came from which lot.
    """

    __tablename__ = "credit_entry"
    __table_args__ = (sa.UniqueConstraint("customer_id", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    customer_id: str = Field(index=True)
    kind: str
    amount: int = Field(sa_type=sa.BigInteger)
    balance: int = Field(sa_type=sa.BigInteger)
    lot_id: str | None = None
    purchase_id: str | None = None
    key: str | None = None
    fingerprint: str | None = None
    reason: str | None = None
    parts: dict[str, int] = Field(default_factory=dict, sa_type=sa.JSON)
    meta: dict[str, str] = Field(default_factory=dict, sa_type=sa.JSON)
    created: datetime = Field(sa_type=UtcDateTime)
