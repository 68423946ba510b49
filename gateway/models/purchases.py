"""What customers have bought for life."""

from datetime import datetime

from sqlmodel import Field

from gateway.models.columns import Row, UtcDateTime


class OwnedProduct(Row, table=True):
    """A product that a line of a paid purchase has brought for life.

    The id is the line's, as that of a credit lot: a line brings it once, and keeps it however the price's metadata
    change later. `returned` says that the purchase was paid back in full. `customer.owned` is the sum of the others.
    """

    __tablename__ = "owned_product"

    id: str = Field(primary_key=True)
    customer_id: str = Field(index=True)
    purchase_id: str = Field(index=True)
    product_id: str
    quantity: int
    returned: bool = False
    granted_at: datetime = Field(sa_type=UtcDateTime)
