"""The search calls. https://docs.stripe.com/search. Unlike Stripe's, they see a change at once."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from gateway.sandbox.api.routing import route
from gateway.sandbox.api.search import parse
from gateway.sandbox.core.errors import invalid, parameter_missing

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

_LIMIT, _MOST = 10, 100
# Kind -> the fields that can be searched (https://docs.stripe.com/search#supported-query-fields-for-each-resource).
_FIELDS = {
    "charge": "amount billing_details.address.postal_code created currency customer disputed metadata payment_intent "
    "payment_method_details.card.brand payment_method_details.card.exp_month payment_method_details.card.exp_year "
    "payment_method_details.card.fingerprint payment_method_details.card.last4 refunded status",
    "customer": "created email metadata name phone",
    "invoice": "created currency customer last_finalization_error_code last_finalization_error_type metadata number "
    "receipt_number status subscription total",
    "payment_intent": "amount created currency customer metadata status",
    "price": "active currency lookup_key metadata product type",
    "product": "active description metadata name shippable url",
    "subscription": "canceled_at created metadata status",
}


def search(sandbox: Sandbox, request: Request, *, kind: str, fields: frozenset[str]) -> Obj:
    """Answer a search, newest first; `page` is the cursor of the last object of the page before."""
    params = request.params
    if "query" not in params:
        raise parameter_missing("query")
    fits = parse(params["query"], fields)
    limit = params.get("limit", _LIMIT)
    if not 1 <= limit <= _MOST:
        raise invalid(f"This value must be between 1 and {_MOST}.", "limit", "parameter_invalid_integer")
    after = params.get("page")
    if after and sandbox.store.get(kind, after) is None:
        raise invalid("Invalid page token.", "page")
    found = list(islice(filter(fits, sandbox.store.scan(kind, after=after)), limit + 1))
    more = len(found) > limit
    counted = {"total_count": sum(map(fits, sandbox.store.scan(kind)))} if "total_count" in request.expand else {}
    return {
        "object": "search_result",
        **counted,
        "data": found[:limit],
        "has_more": more,
        "next_page": found[limit - 1]["id"] if more else None,
        "url": request.path,
    }


def _register() -> None:
    for kind, names in _FIELDS.items():
        params = "".join(word.capitalize() for word in kind.split("_")) + "SearchParams"
        handler = partial(search, kind=kind, fields=frozenset(names.split()))
        route("GET", f"/v1/{kind}s/search", params=params)(handler)


_register()
