"""What can be asked for again by its id alone (GraphQL's "Global Object Identification").

https://graphql.org/learn/global-object-identification/. Stripe's ids are good for it: no two kinds have the same. A
`Price` is none, because the `Plan` has its id.
"""

import strawberry


@strawberry.interface(description="Something with an id of its own, which `node` finds again.")
class Node:
    """What a type has that `node` finds."""

    id: strawberry.ID = strawberry.field(description="Stripe's id.")
