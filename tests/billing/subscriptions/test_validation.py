"""What must be fixed in a change of a subscription: tables, without HTTP and without a database."""

from types import SimpleNamespace

import pytest

from gateway.billing.subscriptions.validation import (
    bad_key,
    change_pending,
    check,
    ended,
    foreign_card,
    long_comment,
    not_kept,
    refused,
)
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.errors import CardRefused, KeyReused, StripeRefused


def shown(problem: Problem | None) -> tuple[str, str | None] | None:
    return problem and (problem.code.name, problem.field)


@pytest.mark.parametrize(
    ("key", "good"), [(None, True), ("", False), ("k", True), ("k" * 255, True), ("k" * 256, False)]
)
def test_a_key_has_1_to_255_characters(key, good):
    assert shown(bad_key(key)) == (None if good else ("IDEMPOTENCY_KEY_INVALID", "idempotencyKey"))


@pytest.mark.parametrize(("comment", "good"), [(None, True), ("", True), ("c" * 500, True), ("c" * 501, False)])
def test_a_comment_has_500_characters_at_most(comment, good):
    assert shown(long_comment(comment)) == (None if good else ("COMMENT_TOO_LONG", "comment"))


@pytest.mark.parametrize(
    ("status", "over"), [("active", False), ("past_due", False), ("canceled", True), ("incomplete_expired", True)]
)
def test_what_has_ended_cannot_be_changed(status, over):
    present = SimpleNamespace(subscription=SimpleNamespace(status=status))
    assert shown(ended(present)) == (("SUBSCRIPTION_ENDED", "subscriptionId") if over else None)


BEGUN, COMING = {"start_date": 1}, {"start_date": 2}
EMPTY = {"current_phase": BEGUN, "phases": [BEGUN], "end_behavior": "release"}


@pytest.mark.parametrize(
    ("schedule", "waits"),
    [
        (None, False),
        (EMPTY, False),  # left by a gateway that was killed
        (EMPTY | {"end_behavior": "cancel"}, True),
        (EMPTY | {"phases": [BEGUN, COMING]}, True),
        (EMPTY | {"current_phase": None}, True),
    ],
)
def test_discounts_wait_for_a_change_that_waits(schedule, waits):
    expected = ("CHANGE_PENDING", "subscriptionId") if waits else None
    assert shown(change_pending({"schedule": schedule})) == expected


@pytest.mark.parametrize("unverified", [False, True])
def test_a_card_that_is_not_the_users_pays_no_change(unverified):
    expected = ("PAYMENT_METHOD_NEEDED", "subscriptionId") if unverified else None
    assert shown(foreign_card(SimpleNamespace(payer_unverified=unverified))) == expected


@pytest.mark.parametrize(
    ("error", "code", "field", "says"),
    [
        (CardRefused("Declined."), "PAYMENT_FAILED", None, "Declined. Nothing was changed"),
        (KeyReused("Stripe's words"), "IDEMPOTENCY_KEY_REUSED", "idempotencyKey", "this key"),
        (StripeRefused("Stripe's words"), "STRIPE_REFUSED", None, "Stripe's words"),
        (StripeRefused("Wrong.", param="items[0][price]"), "STRIPE_REFUSED", None, "Wrong."),
        (StripeRefused("Used.", param="discounts[0][coupon]"), "PROMOTION_CODE_INVALID", "promotionCode", "Used."),
        (StripeRefused("Over.", param="promotion_code"), "PROMOTION_CODE_INVALID", "promotionCode", "Over."),
    ],
)
def test_what_stripe_refuses_is_told_as_something_to_fix(error, code, field, says):
    problem = refused(error)
    assert (shown(problem), problem.message[: len(says)]) == ((code, field), says)


def test_everything_is_told_at_once_and_nothing_is_no_error():
    problems = Problem(ProblemCode.COMMENT_TOO_LONG, "a"), Problem(ProblemCode.URL_REQUIRED, "b")
    check()
    check(None, None)
    with pytest.raises(Rejected) as raised:
        check(problems[0], None, problems[1])
    assert raised.value.problems == problems


@pytest.mark.parametrize(
    ("unkept", "disputed", "why"),
    [
        (set(), False, None),
        ({"si_1"}, False, "was not paid, or went back,"),
        (set(), True, "was disputed,"),
        ({"si_1"}, True, "was not paid, or went back,"),
    ],
)
def test_a_change_at_once_credits_nothing_that_was_not_kept(unkept, disputed, why):
    problem = not_kept(SimpleNamespace(unkept=unkept), disputed=disputed)
    assert shown(problem) == (why and ("INVOICE_UNPAID", "subscriptionId"))
    assert why is None or f"costs now {why}" in problem.message
