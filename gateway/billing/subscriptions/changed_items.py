"""Which items of a subscription a change is about, and what they become. Pure.

A change is Stripe's `items` parameter: an entry with an `id` changes that item or deletes it, one without adds an item
(Stripe API, "Update a subscription", `items`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.billing.catalog.product_prices import group_of, is_active, is_offered
from gateway.billing.catalog.quantities import wrong_quantity
from gateway.billing.catalog.snapshot import Snapshot
from gateway.billing.subscriptions.change_request import ItemChange, PlanChange
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.models.mirrored import Price, SubscriptionItem

MAX_ITEMS = 20
"""Of a subscription (Stripe API, "Create a subscription", `items`)."""

Target = dict[str, Any]
"""An entry of the `items` parameter."""


def plan_items(change: PlanChange, present: SubscriptionState, snapshot: Snapshot, max_quantity: int) -> list[Target]:
    """Return the `items` parameter of a change; empty where nothing is left to do.

    Of several items the one that is named changes, else the one of the same price, of the same product, or of a product
    of the same group. An entry of `items` that fits none of them adds an item.

    Args:
        change: what to.
        present: the subscription.
        snapshot: the only prices there are.
        max_quantity: of one item.

    Raises:
        Rejected: there is no such price, or the subscription cannot have it so.
    """
    alone = ItemChange(change.price_id, change.quantity, change.item_id)
    if (change.price_id is None) != bool(change.items) or (change.items and alone != ItemChange()):
        raise _rejected(
            ProblemCode.LINE_ITEMS_INVALID,
            "the change says nothing, or two things: give `to: {plan: …}`, or `to: {items: […]}`",
            "to",
        )
    if len(change.items) > MAX_ITEMS:
        message = f"a subscription has {MAX_ITEMS} items at most"
        raise _rejected(ProblemCode.LINE_ITEMS_INVALID, message, "items")
    finder = _Finder(present, snapshot, max_quantity)
    if not change.items:
        return [finder.changed(alone, finder.only(alone), "")]
    found = (finder.target(entry, f"items.{place}.") for place, entry in enumerate(change.items))
    targets = [each for each in found if each is not None]
    _check_together(targets, present)
    return targets


class _Finder:
    """Finds what entries of a change are about.

    Args:
        present: the subscription.
        snapshot: the only prices there are.
        max_quantity: of one item.
    """

    def __init__(self, present: SubscriptionState, snapshot: Snapshot, max_quantity: int) -> None:
        self._present = present
        self._snapshot = snapshot
        self._max_quantity = max_quantity

    def target(self, entry: ItemChange, at: str) -> Target | None:
        """Return what an entry of several changes; None where the item that it removes is not there."""
        if entry.remove:
            return self._removed(entry, at)
        if entry.item_id is not None:
            item = self._named(entry.item_id, f"{at}itemId")
            return self.changed(entry, item, at)
        price = self._price(entry, at)
        kin = self._kin(price)
        if len(kin) > 1:
            message = "several items of the subscription fit this price: name the item that changes"
            raise _rejected(ProblemCode.SUBSCRIPTION_ITEM_NEEDED, message, f"{at}itemId")
        return self.changed(entry, kin[0] if kin else None, at)

    def _removed(self, entry: ItemChange, at: str) -> Target | None:
        if (entry.item_id is None) == (entry.price_id is None) or entry.quantity is not None:
            message = "the entry does more than remove: name the item by `itemId` or by `priceId`, and nothing else"
            raise _rejected(ProblemCode.LINE_ITEMS_INVALID, message, at.rstrip("."))
        for item in self._present.items:
            if entry.item_id == item.id or entry.price_id == item.price_id:
                return {"id": item.id, "deleted": True}
        return None

    def only(self, entry: ItemChange) -> SubscriptionItem:
        """Return the item that a change of one plan is about: never just the first of several."""
        price = self._price(entry, "")
        if entry.item_id is not None:
            return self._named(entry.item_id, "subscriptionItemId")
        if len(self._present.items) == 1:
            return self._present.items[0]
        kin = self._kin(price)
        if len(kin) != 1:
            message = "the subscription has several items: name the item that changes"
            raise _rejected(ProblemCode.SUBSCRIPTION_ITEM_NEEDED, message, "subscriptionItemId")
        return kin[0]

    def _named(self, id: str, field: str) -> SubscriptionItem:
        found = next((item for item in self._present.items if item.id == id), None)
        if found is None:
            raise _rejected(ProblemCode.SUBSCRIPTION_ITEM_NEEDED, "the subscription has no such item", field)
        return found

    def _kin(self, price: Price) -> list[SubscriptionItem]:
        """Return the items that a price fits: of the same price, else of its product, else of its group."""
        items, products = self._present.items, self._snapshot.products
        group = group_of(products[price.product_id])
        of_group = (item for item in items if (of := products.get(item.product_id)) and group_of(of) == group)
        candidates = (
            [item for item in items if item.price_id == price.id],
            [item for item in items if item.product_id == price.product_id],
            [] if group is None else list(of_group),
        )
        return next(filter(None, candidates), [])

    def _price(self, entry: ItemChange, at: str) -> Price:
        """Return the price that an entry names, which the subscription can have."""
        field = f"{at}priceId"
        if entry.price_id is None:
            raise _rejected(
                ProblemCode.LINE_ITEMS_INVALID,
                "the entry names neither a price nor an item: name the price, or the item that changes",
                field,
            )
        price = self._snapshot.prices.get(entry.price_id)
        if price is None:
            raise _rejected(ProblemCode.PRICE_NOT_FOUND, "there is no such price in the catalogue", field)
        is_present = any(item.price_id == price.id for item in self._present.items)  # who has an old plan may keep it
        if not is_present and not (is_active(price) and is_active(self._snapshot.products[price.product_id])):
            raise _rejected(ProblemCode.PRICE_NOT_ON_SALE, "this price is no longer on sale: choose another", field)
        if price.interval is None:
            raise _rejected(ProblemCode.PRICE_NOT_RECURRING, "this price is paid once; choose a plan", field)
        currency = self._present.subscription.currency
        if not is_offered(price, currency):
            message = f"the subscription is billed in {currency.upper()}, in which this price is not offered"
            raise _rejected(ProblemCode.CURRENCY_NOT_OFFERED, message, field)
        return price

    def changed(self, entry: ItemChange, item: SubscriptionItem | None, at: str) -> Target:
        """Return an item with its new price and quantity; one that is added where there is none yet."""
        if entry.price_id is None and item is not None:
            entry = ItemChange(item.price_id, entry.quantity)
        price = self._price(entry, at)
        target: Target = {"price": price.id} if item is None else {"id": item.id, "price": price.id}
        if price.usage_type == "metered":
            if entry.quantity is not None:
                message = "a metered price is billed by use: leave the quantity out"
                raise _rejected(ProblemCode.QUANTITY_INVALID, message, f"{at}quantity")
            return target
        present = item.quantity if item is not None else None
        quantity = (present or 1) if entry.quantity is None else entry.quantity
        product = self._snapshot.products[price.product_id]
        if why := wrong_quantity(quantity, price, product, self._max_quantity):
            raise _rejected(ProblemCode.QUANTITY_INVALID, why, f"{at}quantity")
        return {**target, "quantity": quantity}


def _check_together(targets: Sequence[Target], present: SubscriptionState) -> None:
    """Refuse entries that contradict each other, or leave no item, one too many, or two of one price."""
    if any(times > 1 for times in Counter(each["id"] for each in targets if "id" in each).values()):
        message = "two entries are about the same item: put them together (a new plan replaces the present one)"
        raise _rejected(ProblemCode.LINE_ITEMS_INVALID, message, "items")
    after = resulting(present, targets)
    if not after:
        message = "a subscription keeps one plan at least: cancel it instead"
        raise _rejected(ProblemCode.LINE_ITEMS_INVALID, message, "items")
    if len(after) > MAX_ITEMS:
        message = f"a subscription has {MAX_ITEMS} items at most"
        raise _rejected(ProblemCode.LINE_ITEMS_INVALID, message, "items")
    there = Counter(item.price_id for item in present.items)
    if any(times > max(1, there[price]) for price, times in Counter(price for price, _ in after).items()):
        message = "two entries have the same price: put the quantities together"
        raise _rejected(ProblemCode.DUPLICATE_PRICE, message, "items")


def resulting(present: SubscriptionState, targets: Sequence[Target]) -> tuple[tuple[str, int | None], ...]:
    """Return what a subscription has after a change: each price with its quantity (None: metered)."""
    changed = {each["id"]: each for each in targets if "id" in each}

    def after() -> Iterator[tuple[str, int | None]]:
        for item in present.items:
            target = changed.get(item.id)
            if target is None:
                yield item.price_id, item.quantity
            elif not target.get("deleted"):
                yield target["price"], target.get("quantity")
        yield from ((each["price"], each.get("quantity")) for each in targets if "id" not in each)

    return tuple(after())


def already_applied(present: SubscriptionState, targets: Sequence[Target]) -> bool:
    """Return whether it is so already: then nothing is to be done, as when a request is sent again."""
    have = {item.id: (item.price_id, item.quantity) for item in present.items}
    wanted = ((have.get(each.get("id", "")), each) for each in targets)
    return all(had == (each.get("price"), each.get("quantity")) for had, each in wanted)


def arriving(targets: Sequence[Target], present: SubscriptionState, snapshot: Snapshot) -> Iterator[tuple[str, bool]]:
    """Yield the products that the changed items have after a change, each with whether it takes no new place.

    A product stays where it was there before, or replaces one of its own group.
    """
    items = {item.id: item for item in present.items}
    for each in targets:
        if "price" not in each:
            continue
        wanted = snapshot.products[snapshot.prices[each["price"]].product_id]
        item = items.get(each.get("id", ""))
        before = snapshot.products.get(item.product_id) if item else None
        group = group_of(wanted)
        kin = before is not None and group is not None and group_of(before) == group
        yield wanted.id, kin or (item is not None and item.product_id == wanted.id)


def mixed_intervals(
    subscription: Mapping[str, Any], present: SubscriptionState, targets: Sequence[Target], snapshot: Snapshot
) -> Problem | None:
    """Return that the plans would have different billing intervals, where the subscription takes one alone.

    Source: Stripe, "Mixed interval subscriptions": they "must use flexible billing mode".

    Args:
        subscription: as Stripe has it.
        present: the same, as the mirror has it.
        targets: what changes.
        snapshot: says how prices recur.
    """
    if (subscription.get("billing_mode") or {}).get("type") == "flexible":
        return None
    prices = (snapshot.prices.get(price) for price, _ in resulting(present, targets))
    if len({(price.interval, price.interval_count or 1) for price in prices if price is not None}) <= 1:
        return None
    message = "plans of this subscription must have the same billing interval: change all of them, or remove some"
    return Problem(ProblemCode.INTERVALS_MIXED, message, "items")


def touched_prices(present: SubscriptionState, targets: Sequence[Target]) -> set[str]:
    """Return the prices that the lines of a change are about: those that come, and those that go."""
    gone = {each["id"] for each in targets if "id" in each}
    return {each["price"] for each in targets if "price" in each} | {
        item.price_id for item in present.items if item.id in gone
    }


def ends_metered(subscription: Mapping[str, Any], targets: Sequence[Target]) -> bool:
    """Return whether a change takes away or replaces what is billed by use.

    Args:
        subscription: as Stripe has it.
        targets: what changes.
    """
    touched = {each.get("id") for each in targets}
    prices = (item["price"] for item in subscription["items"]["data"] if item["id"] in touched)
    return any((price.get("recurring") or {}).get("usage_type") == "metered" for price in prices)


def _rejected(code: ProblemCode, message: str, field: str) -> Rejected:
    return Rejected(Problem(code, message, field))
