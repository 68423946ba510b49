"""What operators are told of a decision on access, step by step: which facts it names, and which rule decided."""

import pytest

from gateway.billing.subscriptions.access import RULES, Access, AsPaid, Payments, Reason, Step, access, described, facts
from gateway.billing.subscriptions.entitlements import Source, decide, entitlements
from harness.rows import DAY, NOW, at, item, product, snapshot, state, subscription

GRACE = 7 * DAY
PLAN, NONE = item("si_1", "month", "pro"), item("si_1", "month", "pro", 0)
PAID = AsPaid("month", "pro", 1, (at(-3), at(27)))
FACTS = {
    "paid": (
        {}, [PLAN], Payments(paid_until={"si_1": at(27)}),
        [("`active`", True), ("month is paid until 2126-12-20 12:00", True)],
    ),
    "in a trial": ({"status": "trialing"}, [], Payments(), [("`trialing`", True)]),
    "another status": ({"status": "unpaid"}, [PLAN], Payments(), [("`unpaid`", False)]),
    "it will end": ({"cancel_at": at(9)}, [], Payments(), [("`active`", True), ("ends on 2126-12-02 12:00", True)]),
    "it has ended": (
        {"status": "canceled", "cancel_at": at(-9), "ended_at": at(-9)}, [], Payments(), [("`canceled`", False)],
    ),
    "paid back": ({}, [PLAN], Payments(paid_back={"si_1"}), [("`active`", True), ("paid for month went back", False)]),
    "a change was paid back": (
        {}, [PLAN], Payments(paid_until={"si_1": at(27)}, returned={"si_1": PAID}),
        [("`active`", True), ("month is paid until", True), ("month went back", False)],
    ),
    "of another item": ({}, [PLAN], Payments(paid_back={"si_2"}), [("`active`", True)]),
    "none of it": ({}, [NONE], Payments(), [("`active`", True), ("Of month the quantity is zero", False)]),
    "billed in a pause": (
        {}, [PLAN], Payments(unpaid={"si_1": None}), [("`active`", True), ("month was billed while", False)],
    ),
    "billed in a pause, paid before": (
        {}, [PLAN], Payments(paid_until={"si_1": at(27)}, unpaid={"si_1": PAID}),
        [("`active`", True), ("month is paid until", True), ("month was billed while", False)],
    ),
    "an open invoice": (
        {"status": "past_due"}, [], Payments(unpaid_since=at(-2)),
        [("`past_due`", False), ("unpaid since 2126-11-21 12:00", False)],
    ),
    "never paid": ({}, [], Payments(ever_paid=False), [("`active`", True), ("Nothing was ever paid", False)]),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "items", "payments", "expected"), FACTS.values(), ids=FACTS)
def test_which_facts_are_told(columns, items, payments, expected):
    found = facts(subscription(**columns), items, payments)
    assert [each.holds for each in found] == [holds for _, holds in expected]
    for step, (words, _) in zip(found, expected, strict=True):
        assert words in step.finding
        assert (step.about, step.rule) == ("sub_1", found[0].rule)
    assert found[0].rule


ENDS = {
    "access with an end": (
        Access(allowed=True, reason=Reason.ACTIVE, until=at(27)),
        "Access: ACTIVE. ",
        "2126-12-20 12:00",
    ),
    "access without one": (Access(allowed=True, reason=Reason.TRIALING), "Access: TRIALING. ", "In its trial."),
    "none": (Access(allowed=False, reason=Reason.UNPAID), "No access: UNPAID. ", "stopped trying."),
}


@pytest.mark.parametrize(("decided", "begins", "has"), ENDS.values(), ids=ENDS)
def test_a_decision_as_a_sentence(decided, begins, has):
    sentence = described(decided)
    assert sentence.startswith(begins)
    assert has in sentence
    assert sentence.endswith("UTC." if decided.until else decided.reason.value)


DECIDING = {
    "nothing of it gives": ({}, [NONE], 0),
    "active": ({}, [PLAN], 1),
    "past due": ({"status": "past_due"}, [PLAN], 2),
    "ended, and paid still": ({"status": "canceled"}, [PLAN], 3),
    "never begun": ({"status": "incomplete"}, [PLAN], 4),
}


@pytest.mark.parametrize(("columns", "items", "place"), DECIDING.values(), ids=DECIDING)
def test_the_rules_are_told_up_to_the_one_that_decides(columns, items, place):
    payments, steps = Payments(paid_until={"si_1": at(27)}), []
    row = subscription(**columns)
    decided = access(row, items, NOW, grace=GRACE, payments=payments, steps=steps)
    assert decided == access(row, items, NOW, grace=GRACE, payments=payments)
    assert [(each.about, each.rule) for each in steps] == [("sub_1", rule) for rule in [*RULES][: place + 1]]
    assert [each.holds for each in steps] == [False] * place + [True]
    assert steps[-1].finding == described(decided)
    assert not any(each.finding.startswith(("Access", "No access")) for each in steps[:-1])


OFFERS = snapshot(
    product("basic", meta={"features": "boards", "limit_boards": "5"}),
    product("large", meta={"features": "boards,sso", "limit_boards": "20"}),
    product("stripes", entitlements=["boards"]),
    product("plain", entitlements=[]),
).features
REFUSED = Access(allowed=False, reason=Reason.PAST_DUE)


def held(name: str, id: str = "sub_1", **columns):
    return state(item(f"si_{id}", "price", name), id=id, **columns)


HAVING = {
    "one has it": ([held("basic"), held("plain", "sub_2")], (), [True, False], True, "At most 5"),
    "both have it": ([held("basic"), held("large", "sub_2")], (), [True, True], True, "At most 20"),
    "Stripe says so": ([held("stripes")], ("boards",), [True], True, None),
    "the one that has it gives no access": ([held("basic", access=REFUSED)], (), [True], False, None),
    "none has it": ([held("plain")], (), [False], False, None),
    "there is none": ([], (), [], False, None),
}


@pytest.mark.parametrize(("states", "active", "having", "allowed", "limit"), HAVING.values(), ids=HAVING)
def test_which_subscriptions_include_a_feature_is_told_and_the_decision(states, active, having, allowed, limit):
    steps: list[Step] = []
    grant = decide("boards", states, active, OFFERS, steps)
    assert grant == decide("boards", states, active, OFFERS)
    assert (grant.feature, all(each.rule for each in steps)) == ("boards", True)
    *includes, decision = steps
    assert [(each.about, each.holds) for each in includes] == [
        (each.subscription.id, has) for each, has in zip(states, having, strict=True)
    ]
    for each, its in zip(includes, states, strict=True):
        assert ("gives no access" in each.finding) is (each.holds and not its.access.allowed)
        assert ("Stripe's entitlements" in each.finding) is (each.holds and "boards" in active)
        assert ("None of its products" in each.finding) is not each.holds
        assert any(source.value in each.finding for source in Source) is each.holds
    assert (decision.about, decision.holds) == ("boards", allowed)
    assert decision.finding.startswith(described(grant.access))
    assert (limit in decision.finding) if limit else decision.finding == described(grant.access)
    assert len({each.rule for each in steps}) == (2 if states else 1)


ALL = {
    "nothing": ([], ()),
    "one": ([held("large")], ()),
    "two of one feature": ([held("basic"), held("large", "sub_2", created=at(-9))], ()),
    "the other way round": ([held("large", "sub_2", created=at(-9)), held("basic")], ()),
    "one refused": ([held("large", access=REFUSED), held("basic", "sub_2")], ()),
    "by Stripe": ([held("stripes"), held("basic", "sub_2")], ("boards", "sso")),
    "several items": (
        [state(item("si_1", "a", "basic"), item("si_2", "b", "large")), held("stripes", "sub_2")],
        ("boards",),
    ),
}


@pytest.mark.parametrize(("states", "active"), ALL.values(), ids=ALL)
def test_all_features_in_one_pass_are_those_that_are_decided_one_by_one(states, active):
    each = (decide(name, states, active, OFFERS) for name in ("boards", "sso"))
    assert entitlements(states, active, OFFERS) == [grant for grant in each if grant.access.allowed]
