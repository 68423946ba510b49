"""Which items become what, of one change or of several: a table without HTTP and without a database."""

import pytest

from gateway.billing.subscriptions.change_request import ItemChange, PlanChange
from gateway.billing.subscriptions.changed_items import (
    already_applied,
    arriving,
    mixed_intervals,
    plan_items,
    resulting,
    touched_prices,
)
from gateway.billing.user_errors import Rejected
from harness.rows import item, price, product, snapshot, state

CATALOG = snapshot(
    product("starter"),
    product("pro"),
    product("seats", meta={"addon": "true"}),
    product("support", meta={"addon": "true"}),
    product("storage", meta={"group": "storage"}),
    product("disk", meta={"group": "storage"}),
    product("gone", active=False),
    price("starter_m", "starter"),
    price("starter_y", "starter", 9000, interval="year"),
    price("starter_old", "starter", active=False),
    price("pro_m", "pro", 2900),
    price("pro_eur", "pro", 2900, currency="eur"),
    price("seat_m", "seats", 500),
    price("support_m", "support", 700),
    price("storage_m", "storage", 100),
    price("disk_m", "disk", 200),
    price("calls", "pro", None, usage_type="metered"),
    price("pack", "pro", 500, interval=None, interval_count=None, usage_type=None),
    price("gone_m", "gone"),
    product("team", meta={"group": "team", "min_quantity": "3", "max_quantity": "5"}),
    price("team_m", "team"),
)
STARTER, SEATS = item("si_starter", "starter_m", "starter"), item("si_seats", "seat_m", "seats", 3)
STORAGE, CALLS = item("si_storage", "storage_m", "storage"), item("si_calls", "calls", "pro", None)
OLD = item("si_old", "starter_old", "starter", 7)


def planned(change: PlanChange, *items):
    """The item that changes with its price and quantity, or the code and field of what stands against it."""
    try:
        (target,) = plan_items(change, state(*items), CATALOG, 10)
    except Rejected as rejected:
        (problem,) = rejected.problems
        return problem.code.name, problem.field
    return target["id"], target["price"], target.get("quantity")


NEEDED = ("SUBSCRIPTION_ITEM_NEEDED", "subscriptionItemId")
QUANTITY = ("QUANTITY_INVALID", "quantity")


@pytest.mark.parametrize(
    ("change", "items", "expected"),
    [
        (PlanChange("pro_m"), [STARTER], ("si_starter", "pro_m", 1)),
        (PlanChange("starter_y"), [STARTER], ("si_starter", "starter_y", 1)),
        (PlanChange("pro_m"), [OLD], ("si_old", "pro_m", 7)),  # keeps the quantity
        (PlanChange("pro_m", 2), [OLD], ("si_old", "pro_m", 2)),
        (PlanChange("pro_m"), [CALLS], ("si_calls", "pro_m", 1)),  # a metered item has none to keep
        (PlanChange("storage_m"), [STARTER], ("si_starter", "storage_m", 1)),  # the only one there is
        (PlanChange("calls"), [STARTER], ("si_starter", "calls", None)),
        (PlanChange("calls", 1), [STARTER], QUANTITY),
        (PlanChange("pro_m", 0), [STARTER], QUANTITY),
        (PlanChange("pro_m", 1), [STARTER], ("si_starter", "pro_m", 1)),
        (PlanChange("pro_m", 10), [STARTER], ("si_starter", "pro_m", 10)),
        (PlanChange("pro_m", 11), [STARTER], QUANTITY),
        # of several items
        (PlanChange("pro_m"), [SEATS, STARTER], ("si_starter", "pro_m", 1)),  # the plan, not the add-on
        (PlanChange("pro_m"), [STARTER, SEATS], ("si_starter", "pro_m", 1)),
        (PlanChange("seat_m", 5), [STARTER, SEATS], ("si_seats", "seat_m", 5)),
        (PlanChange("disk_m"), [STARTER, STORAGE], ("si_storage", "disk_m", 1)),
        (PlanChange("starter_y"), [STORAGE, STARTER], ("si_starter", "starter_y", 1)),  # of the same product
        (PlanChange("pro_m"), [STARTER, CALLS], ("si_calls", "pro_m", 1)),  # of the same product, before the group
        (PlanChange("pro_m", item_id="si_starter"), [STARTER, CALLS], ("si_starter", "pro_m", 1)),
        (PlanChange("pro_m", item_id="si_seats"), [STARTER, SEATS], ("si_seats", "pro_m", 3)),
        (PlanChange("pro_m", item_id="si_other"), [STARTER, SEATS], NEEDED),
        (PlanChange("pro_m", item_id="si_other"), [STARTER], NEEDED),
        (PlanChange("pro_m"), [STARTER, OLD], NEEDED),  # two of its group
        (PlanChange("starter_y"), [STARTER, OLD], NEEDED),  # two of its product
        (PlanChange("starter_m", 2), [STARTER, OLD], ("si_starter", "starter_m", 2)),  # one of its price
        (PlanChange("pro_m"), [SEATS, STORAGE], NEEDED),  # none of its group
        (PlanChange("seat_m"), [STARTER, STORAGE], NEEDED),
        (PlanChange("storage_m"), [STARTER, STORAGE], ("si_storage", "storage_m", 1)),  # whichever comes first
        (PlanChange("storage_m"), [STORAGE, STARTER], ("si_storage", "storage_m", 1)),
        # prices
        (PlanChange("nothing"), [STARTER], ("PRICE_NOT_FOUND", "priceId")),
        (PlanChange("pack"), [STARTER], ("PRICE_NOT_RECURRING", "priceId")),
        (PlanChange("gone_m"), [STARTER], ("PRICE_NOT_ON_SALE", "priceId")),  # its product is not
        (PlanChange("starter_old"), [STARTER], ("PRICE_NOT_ON_SALE", "priceId")),
        (PlanChange("starter_old", 2), [OLD], ("si_old", "starter_old", 2)),  # who has it may keep it
        (PlanChange("pro_eur"), [STARTER], ("CURRENCY_NOT_OFFERED", "priceId")),
        # the seller's range
        (PlanChange("team_m"), [STARTER], QUANTITY),
        (PlanChange("team_m", 3), [STARTER], ("si_starter", "team_m", 3)),
        (PlanChange("team_m", 6), [STARTER], QUANTITY),
        # one plan, or several items
        (PlanChange(), [STARTER], ("LINE_ITEMS_INVALID", "to")),
        (PlanChange("pro_m", items=(ItemChange("seat_m"),)), [STARTER], ("LINE_ITEMS_INVALID", "to")),
        (PlanChange(quantity=2, items=(ItemChange("seat_m"),)), [STARTER], ("LINE_ITEMS_INVALID", "to")),
    ],
)
def test_which_item_becomes_what(change, items, expected):
    assert planned(change, *items) == expected


def several(*changes: ItemChange, have):
    """What several changes come to, or the code and field of what stands against them."""
    try:
        return plan_items(PlanChange(items=changes), state(*have), CATALOG, 10)
    except Rejected as rejected:
        (problem,) = rejected.problems
        return problem.code.name, problem.field


SEATS_5, GONE = {"id": "si_seats", "price": "seat_m", "quantity": 5}, {"id": "si_seats", "deleted": True}
ADDED, UP = {"price": "seat_m", "quantity": 1}, {"id": "si_starter", "price": "pro_m", "quantity": 1}
MANY = [item(f"si_{number}", "seat_m", "seats") for number in range(18)]
CONTRADICTION = ("LINE_ITEMS_INVALID", "items")


@pytest.mark.parametrize(
    ("changes", "have", "expected"),
    [
        ([ItemChange("seat_m")], [STARTER], [ADDED]),  # nothing of the subscription is an add-on of this product
        ([ItemChange("storage_m", 2)], [STARTER], [{"price": "storage_m", "quantity": 2}]),  # of another group
        ([ItemChange("calls")], [STORAGE], [{"price": "calls"}]),
        ([ItemChange("seat_m", 5)], [STARTER, SEATS], [SEATS_5]),
        ([ItemChange(quantity=5, item_id="si_seats")], [STARTER, SEATS], [SEATS_5]),
        ([ItemChange("pro_m"), ItemChange("seat_m")], [STARTER], [UP, ADDED]),
        ([ItemChange("pro_m"), ItemChange("seat_m", remove=True)], [STARTER, SEATS], [UP, GONE]),
        ([ItemChange(item_id="si_seats", remove=True)], [STARTER, SEATS], [GONE]),
        (
            [ItemChange("seat_m", remove=True), ItemChange("disk_m")],
            [SEATS],
            [GONE, {"price": "disk_m", "quantity": 1}],
        ),
        ([ItemChange("seat_m", remove=True)], [STARTER], []),  # it is not there, as when the request is sent again
        ([ItemChange(item_id="si_gone", remove=True)], [STARTER], []),
        ([ItemChange(item_id="si_gone", remove=True)] * 20, [STARTER], []),
        ([ItemChange("support_m")], [STARTER, SEATS], [{"price": "support_m", "quantity": 1}]),  # beside another add-on
        ([ItemChange("storage_m")], [*MANY, STARTER], [{"price": "storage_m", "quantity": 1}]),
        # refused
        ([ItemChange("seat_m", remove=True)], [SEATS], CONTRADICTION),  # the last one
        ([ItemChange("pro_m"), ItemChange("starter_y")], [STARTER], CONTRADICTION),  # both replace the plan
        ([ItemChange("starter_m", remove=True), ItemChange("pro_m")], [STARTER, SEATS], CONTRADICTION),
        ([ItemChange("seat_m"), ItemChange("seat_m", 2)], [STARTER], ("DUPLICATE_PRICE", "items")),
        ([ItemChange("seat_m", item_id="si_storage")], [STORAGE, SEATS], ("DUPLICATE_PRICE", "items")),
        ([ItemChange("seat_m")] * 21, [STARTER], CONTRADICTION),
        ([ItemChange("storage_m")], [*MANY, STARTER, CALLS], CONTRADICTION),
        ([ItemChange()], [STARTER], ("LINE_ITEMS_INVALID", "items.0.priceId")),
        ([ItemChange(remove=True)], [STARTER], ("LINE_ITEMS_INVALID", "items.0")),
        ([ItemChange("seat_m", 1, remove=True)], [STARTER, SEATS], ("LINE_ITEMS_INVALID", "items.0")),
        ([ItemChange("pro_m"), ItemChange("seat_m", -1)], [STARTER], ("QUANTITY_INVALID", "items.1.quantity")),
        ([ItemChange("seat_m", 0)], [STARTER], ("QUANTITY_INVALID", "items.0.quantity")),
        ([ItemChange("team_m")], [STARTER], ("QUANTITY_INVALID", "items.0.quantity")),
        ([ItemChange("pack")], [STARTER], ("PRICE_NOT_RECURRING", "items.0.priceId")),
        ([ItemChange("gone_m")], [STARTER], ("PRICE_NOT_ON_SALE", "items.0.priceId")),
        ([ItemChange("pro_eur")], [STARTER], ("CURRENCY_NOT_OFFERED", "items.0.priceId")),
        ([ItemChange("pro_m")], [STARTER, OLD], ("SUBSCRIPTION_ITEM_NEEDED", "items.0.itemId")),
        ([ItemChange("pro_m", item_id="si_other")], [STARTER], ("SUBSCRIPTION_ITEM_NEEDED", "items.0.itemId")),
    ],
)
def test_several_changes_in_one(changes, have, expected):
    assert several(*changes, have=have) == expected


def test_what_there_is_after_several_changes():
    present, targets = state(STARTER, SEATS, CALLS), [UP, GONE, {"price": "storage_m", "quantity": 2}]
    assert resulting(present, targets) == (("pro_m", 1), ("calls", None), ("storage_m", 2))
    assert touched_prices(present, targets) == {"starter_m", "pro_m", "seat_m", "storage_m"}
    assert list(arriving(targets, present, CATALOG)) == [("pro", True), ("storage", False)]
    assert list(arriving([SEATS_5], present, CATALOG)) == [("seats", True)]
    assert list(arriving([{**SEATS_5, "price": "support_m"}], present, CATALOG)) == [("support", False)]


@pytest.mark.parametrize(
    ("mode", "targets", "mixed"),
    [
        ("classic", [{"price": "seat_m", "quantity": 1}], False),
        ("classic", [{"id": "si_starter", "price": "starter_y", "quantity": 1}], True),
        ("classic", [{"id": "si_starter", "price": "starter_y", "quantity": 1}, GONE], False),
        ("flexible", [{"id": "si_starter", "price": "starter_y", "quantity": 1}], False),
    ],
)
def test_only_flexible_subscriptions_mix_intervals(mode, targets, mixed):
    problem = mixed_intervals({"billing_mode": {"type": mode}}, state(STARTER, SEATS), targets, CATALOG)
    assert (problem and problem.field) == ("items" if mixed else None)


@pytest.mark.parametrize(
    ("target", "applied"),
    [
        ({"id": "si_starter", "price": "starter_m", "quantity": 1}, True),
        ({"id": "si_starter", "price": "starter_m", "quantity": 2}, False),
        ({"id": "si_starter", "price": "pro_m", "quantity": 1}, False),
        ({"id": "si_seats", "price": "starter_m", "quantity": 1}, False),
        ({"id": "si_calls", "price": "calls"}, True),
        ({"id": "si_seats", "deleted": True}, False),
        ({"price": "storage_m", "quantity": 1}, False),
    ],
)
def test_what_is_so_already_needs_no_change(target, applied):
    assert already_applied(state(STARTER, SEATS, CALLS), [target]) is applied
