"""What a user may still buy: one plan of a group at once. Trials: `trials.py`."""

from collections.abc import Mapping

from gateway.billing.catalog.snapshot import Snapshot
from gateway.billing.checkout.cart import Cart
from gateway.billing.subscriptions.exclusion import excluded_by
from gateway.billing.user_errors import Problem, ProblemCode


def conflicts(cart: Cart, held: Mapping[str, str], snapshot: Snapshot) -> list[Problem]:
    """Return a problem for each line that a live subscription excludes, with what to do instead. Pure.

    Plans of one group exclude each other, and a product excludes itself.

    Args:
        cart: what is to be bought.
        held: the products of live subscriptions, each with the id of its subscription.
        snapshot: says of which group a product is.
    """
    found = []
    for place, (price, _) in enumerate(cart.lines):
        standing = excluded_by(price.product_id, held, snapshot)
        if price.interval and standing:
            found.append(Problem(ProblemCode.ALREADY_SUBSCRIBED, _instead(standing), f"lineItems.{place}"))
    return found


def _instead(standing: str) -> str:
    if standing.startswith("sub_sched_"):
        return f"the seller has planned a subscription that excludes this one ({standing}): it begins by itself"
    return (
        f"there is a subscription already that excludes this one ({standing}): change that one instead "
        "(`changeSubscription`, or the portal)"
    )
