"""What Stripe answers of a subscription or a phase, as the parameters that give the same again. Pure.

Source: docs.stripe.com/api/subscription_schedules/update, `phases`.
"""

from collections.abc import Mapping
from typing import Any

from gateway.mirror.mapping import id_of

_RATES = frozenset({"account_tax_ids", "default_tax_rates", "tax_rates"})
_REFERENCES = frozenset({"account", "coupon", "default_payment_method", "destination", "discount", "on_behalf_of"})
_REFERENCES |= {"price", "promotion_code"}
SHOWN_ONLY = frozenset({"disabled_reason", "plan", "start_date", "trial"})
"""What an answer has and no parameter: it follows from the rest."""


def given(value: Any) -> Any:
    """Return what an answer shows as the parameter that gives it; what is empty is not given."""
    if isinstance(value, list):
        return [given(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    found = {name: _one(name, each) for name, each in value.items() if name not in SHOWN_ONLY}
    return {name: each for name, each in found.items() if each not in (None, [], {})}


def _one(name: str, value: Any) -> Any:
    if name in _RATES:
        return [id_of(each) for each in value or ()]
    return id_of(value) if name in _REFERENCES else given(value)
