"""Arguments that many fields take, with their descriptions."""

from typing import Annotated

import strawberry

Id = Annotated[strawberry.ID, strawberry.argument(description="Stripe's id.")]
First = Annotated[int, strawberry.argument(description="How many at most, 1 to 100.")]
After = Annotated[str | None, strawberry.argument(description="The cursor after which the page begins.")]
Locale = Annotated[str, strawberry.argument(description="A language tag, such as en, de-DE or pt-BR.")]
InLanguage = Annotated[
    str | None,
    strawberry.argument(description="The reader's language, such as de-CH; left out, as it stands at Stripe."),
]
