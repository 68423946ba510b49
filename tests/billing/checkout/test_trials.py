"""One trial only, for a user and for an e-mail address, whoever types it and however often at once."""

import time

import pytest

from harness.checkout import at_stripe, buy, look, opened, pay
from harness.databases import both_databases, postgres_later
from harness.gateway import make_world

ADA = {"email": "ada@example.com", "email_verified": True}
TRIAL = "pro_monthly"


def statuses(world) -> list[str]:
    """How all subscriptions stand at Stripe, the first that was begun first."""
    found = at_stripe(world, "subscriptions", status="all")
    return [each["status"] for each in sorted(found, key=lambda each: (each["created"], each["id"]))]


@postgres_later
def test_a_guest_has_one_trial_with_an_address_that_is_typed_on_the_page(world):
    first = opened(world, None, TRIAL)
    pay(world, first, email="Ada@Example.com")
    assert look(world, None, first)["subscription"]["status"] == "TRIALING"
    world.eventually(lambda: world.rows("event", status="pending"), [])
    (begun,) = at_stripe(world, "subscriptions")
    world.eventually(lambda: time.time() > begun["created"] + 1)  # Stripe tells no more of the order than seconds

    again = opened(world, None, TRIAL)
    pay(world, again, email="ada@example.com")

    world.eventually(lambda: look(world, None, again)["subscription"]["status"], "CANCELED")
    assert look(world, None, first)["subscription"]["status"] == "TRIALING"
    assert at_stripe(world, "charges") == []
    other = opened(world, None, TRIAL)
    pay(world, other, email="grace@example.com")
    world.eventually(lambda: world.rows("event", status="pending"), [])
    assert look(world, None, other)["subscription"]["status"] == "TRIALING"


@both_databases
def test_of_trials_that_were_opened_ahead_and_paid_at_once_one_stays(world):
    sessions = [opened(world, None, TRIAL, customerEmail="ada@example.com") for _ in range(3)]
    for session in sessions:
        pay(world, session)
        look(world, None, session)  # who looks first leaves the webhook an old state
    world.eventually(lambda: sorted(statuses(world)), ["canceled", "canceled", "trialing"])
    world.eventually(lambda: world.rows("event", status="pending"), [])
    assert sorted(row["status"] for row in world.rows("subscription")) == ["canceled", "canceled", "trialing"]


@both_databases
def test_an_address_that_is_known_is_offered_no_second_trial(world):
    pay(world, opened(world, None, TRIAL))
    world.eventually(lambda: [row["status"] for row in world.rows("subscription")], ["trialing"])
    world.eventually(lambda: world.rows("event", status="pending"), [])

    for given in ("ADA@example.com", "ada@example.com"):
        assert opened(world, None, TRIAL, customerEmail=given)["amountTotal"]["amount"] == 2900
    assert opened(world, None, TRIAL, customerEmail="grace@example.com")["amountTotal"]["amount"] == 0


def test_a_user_has_none_after_a_guests_with_the_verified_address(sqlite_url):
    with make_world(sqlite_url, link_customers_by_email=False) as world:
        pay(world, opened(world, None, TRIAL))
        world.eventually(lambda: [row["status"] for row in world.rows("subscription")], ["trialing"])

        assert opened(world, world.token("ada", **ADA), TRIAL)["amountTotal"]["amount"] == 2900
        assert opened(world, world.token("eve", email=ADA["email"]), TRIAL)["amountTotal"]["amount"] == 0


def test_a_users_own_trial_is_never_ended_by_a_guest_who_types_the_address(world):
    bought = buy(world, world.token("ada", **ADA), TRIAL)
    guest = opened(world, None, TRIAL)
    pay(world, guest)
    world.eventually(lambda: look(world, None, guest)["subscription"]["status"], "CANCELED")
    assert world.stripe("GET", f"/v1/subscriptions/{bought['subscription']['id']}")["status"] == "trialing"


def test_nor_by_a_user_who_takes_the_address_in_stripes_portal(world):
    buy(world, world.token("mallory", email="m@example.com", email_verified=True), TRIAL)
    (mallory,) = world.rows("customer")
    bought = buy(world, world.token("ada", **ADA), TRIAL)
    world.stripe("POST", f"/v1/customers/{mallory['id']}", email=ADA["email"])
    world.eventually(lambda: [row["email_lower"] for row in world.rows("customer")], [ADA["email"]] * 2)
    guest = opened(world, None, TRIAL)
    pay(world, guest)
    world.eventually(lambda: look(world, None, guest)["subscription"]["status"], "CANCELED")
    world.eventually(lambda: world.rows("event", status="pending"), [])
    assert world.stripe("GET", f"/v1/subscriptions/{bought['subscription']['id']}")["status"] == "trialing"


@pytest.mark.parametrize("given", [{}, {"customerEmail": "ada@example.com"}])
def test_where_the_settings_allow_it_each_guest_has_a_trial(sqlite_url, given):
    with make_world(sqlite_url, allow_repeat_trials=True) as world:
        for _ in range(2):
            pay(world, opened(world, None, TRIAL, **given))
        world.eventually(lambda: [row["status"] for row in world.rows("subscription")], ["trialing"] * 2)
        world.eventually(lambda: world.rows("event", status="pending"), [])
        assert statuses(world) == ["trialing"] * 2
