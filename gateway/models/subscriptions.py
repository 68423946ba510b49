"""What is kept about subscriptions beside Stripe's own objects: quotes of changes, and offers to who leaves."""

from datetime import datetime

from sqlmodel import Field

from gateway.models.columns import Row, UtcDateTime


class ChangeQuote(Row, table=True):
    """A preview of a change that somebody was given, so that it is charged only in the state it was made from.

    `proration_date` is what the amounts count from, and what the client sends back; `state` a digest of the
    subscription as it was. A day old, it is deleted: a quote is good for minutes.
    """

    __tablename__ = "change_quote"

    subscription_id: str = Field(primary_key=True)
    proration_date: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    state: str = Field(primary_key=True)
    created: datetime = Field(sa_type=UtcDateTime, index=True)


class RetentionOffer(Row, table=True):
    """A coupon that the application's back end offers to a customer who is about to cancel; accepted once."""

    __tablename__ = "retention_offer"

    subscription_id: str = Field(primary_key=True)
    coupon_id: str
    created: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    accepted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
