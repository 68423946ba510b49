"""What a subscription becomes: both forms say the same, and a problem is told where the client has written it."""

import pytest

from gateway.billing.subscriptions.change_request import ItemChange, PlanChange
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.graphql.types import change_inputs as inputs
from gateway.graphql.types.change_inputs import (
    ItemChangeInput,
    PlanChangeInput,
    SubscriptionChangeInput,
    SubscriptionItemInput,
    SubscriptionItemRefInput,
    plan_change,
    problems_at,
)

PLAN = SubscriptionChangeInput(plan=PlanChangeInput(price_id="pro", quantity=3, item_id="si_1"))
SEVERAL = SubscriptionChangeInput(
    items=[
        ItemChangeInput(set=SubscriptionItemInput(item_id="si_1", price_id="pro", quantity=2)),
        ItemChangeInput(remove=SubscriptionItemRefInput(price_id="disk")),
        ItemChangeInput(remove=SubscriptionItemRefInput(item_id="si_2")),
        ItemChangeInput(remove=SubscriptionItemRefInput(item_id="")),
    ]
)
SHORT_ITEMS = [
    inputs.SubscriptionItemChangeInput(item_id="si_1", price_id="pro", quantity=2),
    inputs.SubscriptionItemChangeInput(price_id="disk", remove=True),
    inputs.SubscriptionItemChangeInput(item_id="si_2", remove=True),
    inputs.SubscriptionItemChangeInput(item_id="", remove=True),
]


def test_both_forms_are_the_same_change():
    of_one = PlanChange("pro", 3, "si_1")
    assert plan_change(PLAN, PlanChange(), when=None) == plan_change(None, of_one, when=None) == of_one
    by_items = plan_change(SEVERAL, PlanChange(), when=None)
    assert by_items == plan_change(None, PlanChange(), SHORT_ITEMS, when=None)
    assert by_items.items[:2] == (ItemChange("pro", 2, "si_1"), ItemChange("disk", None, None, remove=True))


@pytest.mark.parametrize(
    ("short", "items"),
    [(PlanChange("pro"), None), (PlanChange(quantity=1), None), (PlanChange(item_id=""), None), (PlanChange(), [])],
)
def test_what_is_said_in_both_forms_is_refused(short, items):
    with pytest.raises(Rejected, match="say it once, by `to`") as refused:
        plan_change(PLAN, short, items, when=None)
    assert [(each.code.name, each.field) for each in refused.value.problems] == [("LINE_ITEMS_INVALID", "to")]


@pytest.mark.parametrize(
    ("to", "field", "expected"),
    [
        (None, "priceId", "priceId"),
        (PLAN, "priceId", "to.plan.priceId"),
        (PLAN, "quantity", "to.plan.quantity"),
        (PLAN, "subscriptionItemId", "to.plan.itemId"),
        (PLAN, "items", "to.plan"),
        (SEVERAL, "items", "to.items"),
        (SEVERAL, "priceId", "to.items"),
        (SEVERAL, "items.12.quantity", "to.items.12.set.quantity"),
        (SEVERAL, "items.3", "to.items"),
        (SEVERAL, "when", "when"),
        (PLAN, "to", "to"),
        (PLAN, None, None),
    ],
)
def test_a_problem_is_told_where_it_was_written(to, field, expected):
    with pytest.raises(Rejected) as refused, problems_at(to):
        raise Rejected(Problem(ProblemCode.PRICE_NOT_FOUND, "it is not there", field))
    assert [each.field for each in refused.value.problems] == [expected]
