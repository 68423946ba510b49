"""Keys and values that callers give along."""

import strawberry

from gateway.graphql.base.decorators import input_type


@input_type
class MetadataEntryInput:
    """A key and a value to keep with an object."""

    key: str = strawberry.field(description="Up to 40 characters without square brackets; `gateway_…` is reserved.")
    value: str = strawberry.field(description="Up to 500 characters.")
