"""What is written before Stripe is called: the intent to check out, and a user's claim to a customer."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from gateway.models.columns import Row, UtcDateTime, partial_index


class CheckoutIntent(Row, table=True):
    """A checkout that somebody asked for, written before Stripe is called.

    `scope` is who asked (`guest` or the external id), `key` the client's idempotency key, `fingerprint` a digest of
    everything that was asked, `parameters_digest` one of what Stripe was asked for it: a signed-in user's open session
    is given again for the same parameters. The primary key is also the idempotency key that Stripe gets.
    """

    __tablename__ = "checkout_intent"
    __table_args__ = (sa.UniqueConstraint("scope", "key"),)

    id: str = Field(primary_key=True)
    scope: str
    key: str
    fingerprint: str
    parameters_digest: str | None = None
    session_id: str | None = Field(default=None, index=True)
    created: datetime = Field(sa_type=UtcDateTime, index=True)


class CustomerClaim(Row, table=True):
    """A customer that a user needs, written before Stripe is asked for it, and kept as the user's history.

    The last `generation` of an `external_id` is the present one; a new one begins when Stripe no longer knows the
    customer. `email` is fixed here, so that a repeated call asks Stripe for the same. `customer_id` is null until
    Stripe has answered; unique, so that no two users ever share a customer. `making` stands from before Stripe is asked
    until what it has made is the user's, or is deleted because another one is.
    """

    __tablename__ = "customer_claim"
    __table_args__ = (partial_index("ix_customer_claim_making", "created", where="making = 1"),)

    external_id: str = Field(primary_key=True)
    generation: int = Field(primary_key=True)
    email: str | None = None
    customer_id: str | None = Field(default=None, unique=True)
    making: bool = Field(default=False, sa_column_kwargs={"server_default": sa.text("false")})
    created: datetime = Field(sa_type=UtcDateTime)
