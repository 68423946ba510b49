"""What a customer may do with a plan of the pricing page: buy it, change to it, keep it, or why not. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from gateway.billing.catalog.amounts import Direction, direction
from gateway.billing.catalog.product_prices import group_of, is_active, is_offered
from gateway.billing.catalog.snapshot import Snapshot
from gateway.billing.subscriptions.access import will_cancel
from gateway.billing.subscriptions.change_request import ChangeTime
from gateway.billing.subscriptions.changed_items import Target
from gateway.billing.subscriptions.plan_change import OWING
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.billing.subscriptions.timing import waits
from gateway.billing.subscriptions.validation import not_kept
from gateway.billing.user_errors import ProblemCode
from gateway.models.mirrored import Customer, Price, SubscriptionItem
from gateway.models.statuses import OCCUPYING


class PlanAction(Enum):
    """What a customer may do with a plan; each value says what it means."""

    SUBSCRIBE = "Buy it at the checkout."
    CURRENT = "It is the customer's plan."
    UPGRADE = "Change to it from a smaller plan."
    DOWNGRADE = "Change to it from a bigger plan."
    SWITCH = "Change to it from another interval of the product, or from a plan of which neither is the bigger one."
    SCHEDULED = "The subscription changes to it when its period ends."
    RESUME = "It is the customer's plan, which ends or is paused: take it up again."
    UNAVAILABLE = "The customer cannot have it; the reason says why."


@dataclass(frozen=True, slots=True)
class PlanOffer:
    """What a customer may do with a plan.

    Attributes:
        action: what.
        reason: why it is unavailable: what a change or a checkout would answer.
        state: the subscription that it is about; None where none is.
        item: what of it a change replaces.
    """

    action: PlanAction
    reason: ProblemCode | None = None
    state: SubscriptionState | None = None
    item: SubscriptionItem | None = None


_MOVES: dict[Direction | None, PlanAction] = {Direction.UP: PlanAction.UPGRADE, Direction.DOWN: PlanAction.DOWNGRADE}


def currency_of(customer: Customer | None, states: Sequence[SubscriptionState]) -> str | None:
    """Return the currency that a customer is bound to, lower case; None where it is free.

    A customer has no two live subscriptions of different currencies (Stripe, "Customers with multiple currencies").
    """
    live = (each.subscription.currency for each in states if each.subscription.status in OCCUPYING)
    return next(live, customer.currency if customer else None)


def offer_of(
    price: Price,
    customer: Customer | None,
    states: Sequence[SubscriptionState],
    snapshot: Snapshot,
    *,
    multiple: bool = False,
    binding: bool = False,
    when: ChangeTime = ChangeTime.AUTOMATIC,
) -> PlanOffer:
    """Return what a customer may do with a plan.

    Args:
        price: the plan, of the catalogue.
        customer: None for who has bought nothing yet.
        states: the customer's subscriptions.
        snapshot: the catalogue.
        multiple: whether plans of one group may stand beside each other.
        binding: whether all that the seller plans binds.
        when: a change happens where nobody says.
    """
    live = [each for each in states if each.subscription.status in OCCUPYING]
    if mine := next((each for each in live if any(item.price_id == price.id for item in each.items)), None):
        row = mine.subscription
        ends = (will_cancel(row) or mine.planned.end is not None) and not mine.is_bound(snapshot, always=binding)
        rests = ends or mine.rests
        return PlanOffer(PlanAction.RESUME if rests else PlanAction.CURRENT, None, mine)
    kin = () if multiple else list(_kin(price, live, snapshot))
    if waiting := next((each for each in live if each.pending and price.id in dict(each.pending.items)), None):
        return PlanOffer(PlanAction.SCHEDULED, None, waiting)
    changing = kin[0][0] if kin else None
    reason = _against(price, currency_of(customer, states), snapshot)
    if reason is None and changing:
        reason = _against_change(changing, customer, bound=changing.is_bound(snapshot, always=binding))
    if reason is not None:
        return PlanOffer(PlanAction.UNAVAILABLE, reason, changing)
    if not kin:
        return PlanOffer(PlanAction.SUBSCRIBE)
    state, item = kin[0]
    target = Target(id=item.id, price=price.id, quantity=item.quantity)
    if not waits(when, state, [target], snapshot) and (refused := not_kept(state, disputed=state.disputed)):
        return PlanOffer(PlanAction.UNAVAILABLE, refused.code, state)
    return PlanOffer(_move(price, state, item, snapshot), None, state, item)


def _kin(
    price: Price, live: Sequence[SubscriptionState], snapshot: Snapshot
) -> Iterator[tuple[SubscriptionState, SubscriptionItem]]:
    """Yield the items that a change to a plan replaces: of the same product first, then of the same group."""
    group = group_of(snapshot.products[price.product_id])
    items = [(state, item) for state in live for item in state.items]
    yield from ((state, item) for state, item in items if item.product_id == price.product_id)
    for state, item in items:
        product = snapshot.products.get(item.product_id)
        if product and group is not None and item.product_id != price.product_id and group_of(product) == group:
            yield state, item


def _against(price: Price, currency: str | None, snapshot: Snapshot) -> ProblemCode | None:
    """Return what stands against buying a plan, or against changing a subscription to it."""
    if not (is_active(price) and is_active(snapshot.products[price.product_id])):
        return ProblemCode.PRICE_NOT_ON_SALE
    return ProblemCode.CURRENCY_NOT_OFFERED if currency is not None and not is_offered(price, currency) else None


def _against_change(state: SubscriptionState, customer: Customer | None, *, bound: bool) -> ProblemCode | None:
    """Return what stands against any change of a subscription.

    Args:
        state: the subscription.
        customer: whose it is.
        bound: whether the seller has planned something that binds the customer.
    """
    if bound:
        return ProblemCode.PLANNED_BY_SELLER
    if state.planned.left:
        return ProblemCode.SUBSCRIPTION_ENDING
    if state.subscription.status in OWING or state.owes:
        return ProblemCode.INVOICE_UNPAID
    if state.rests:
        return ProblemCode.SUBSCRIPTION_PAUSED
    return ProblemCode.PAYMENT_METHOD_NEEDED if customer and customer.payer_unverified else None


def _move(price: Price, state: SubscriptionState, item: SubscriptionItem, snapshot: Snapshot) -> PlanAction:
    """Return what a change of an item to a plan is to the customer, who keeps the quantity."""
    have = snapshot.prices.get(item.price_id)
    if have is None or have.product_id == price.product_id:
        return PlanAction.SWITCH
    found = direction((have, item.quantity), (price, item.quantity or 1), state.subscription.currency)
    return _MOVES.get(found, PlanAction.SWITCH)
