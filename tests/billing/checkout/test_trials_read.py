"""Who has had a trial, and which products somebody holds: on a database, without a server."""

import pytest

from gateway.billing.checkout.trials import end_repeated, had_trial, is_guests, repeated
from gateway.billing.subscriptions.exclusion import held_products
from gateway.models.checkout import CustomerClaim
from gateway.models.mirrored import CheckoutSession, SubscriptionSchedule
from harness.rows import DAY, NOW, customer, item, price, put, subscription

TRIAL = {"trial_start": NOW}


def claim(external_id: str, customer_id: str | None, generation: int = 1) -> CustomerClaim:
    return CustomerClaim(external_id=external_id, generation=generation, customer_id=customer_id, created=NOW)


def mailed(address: str, id: str = "cus_1", **columns):
    return customer(id, email=address, email_lower=address.lower(), **columns)


HAD = {
    "nobody": ([subscription(**TRIAL)], {}, False),
    "the user": ([claim("ada", "cus_1"), subscription(**TRIAL)], {"external_id": "ada"}, True),
    "with a customer that is the user's by its metadata": (
        [claim("ada", "cus_0"), customer(external_id="ada"), subscription(**TRIAL)],
        {"external_id": "ada"},
        True,
    ),
    "without a trial": ([claim("ada", "cus_1"), subscription()], {"external_id": "ada"}, False),
    "another": ([claim("eve", "cus_1"), subscription(**TRIAL)], {"external_id": "ada"}, False),
    "with a customer that is gone": (
        [claim("ada", "cus_1"), claim("ada", "cus_2", 2), subscription(**TRIAL, deleted=True)],
        {"external_id": "ada"},
        True,
    ),
    "the address": ([mailed("Ada@Example.com"), subscription(**TRIAL)], {"email": "aDA@example.com"}, True),
    "the address as another writes it": (
        [mailed("mike@example.com"), subscription(**TRIAL)],
        {"email": "mi\u212ae@example.com"},
        False,
    ),
    "an address with a tag": (
        [mailed("ada@example.com"), subscription(**TRIAL)],
        {"email": "ada+2@example.com"},
        False,
    ),
    "the address at a connected account": (
        [mailed("ada@example.com", "acct_1/cus_1"), subscription(customer_id="acct_1/cus_1", **TRIAL)],
        {"email": "ada@example.com"},
        False,
    ),
    "another address": ([mailed("eve@example.com"), subscription(**TRIAL)], {"email": "ada@example.com"}, False),
    "of an address without a trial": ([mailed("ada@example.com"), subscription()], {"email": "ada@example.com"}, False),
    "either will do": (
        [mailed("ada@example.com"), claim("ada", "cus_2"), subscription(**TRIAL)],
        {"external_id": "ada", "email": "ada@example.com"},
        True,
    ),
    "no address is nobody's": ([customer(), subscription(**TRIAL)], {"external_id": "ada"}, False),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "who", "had"), HAD.values(), ids=HAD)
async def test_whether_there_has_been_a_trial(database, fill, rows, who, had):
    await fill(*rows)
    assert await had_trial(database, **{"external_id": None, "email": None, **who}) is had


@pytest.mark.parametrize(
    ("columns", "guests"),
    [
        ({}, True),
        ({"guest": False}, False),
        ({"guest": False, "external_id": "ada"}, False),
        ({"mode": "payment"}, False),
        ({"id": "cs_2"}, False),
    ],
)
def test_whether_a_guest_has_started_a_subscription(connection, columns, guests):
    given = {"id": "cs_1", "mode": "subscription", "ui_mode": "hosted", "status": "complete", "guest": True}
    given |= {"payment_status": "paid", "created": NOW, "expires_at": NOW, "as_of": 0}
    put(connection, CheckoutSession(**{**given, **columns}))
    assert is_guests(connection, "cs_1") is guests


SESSION = {"id": "cs_2", "customer": "cus_2", "subscription": "sub_2", "customer_details": {"email": "Ada@example.com"}}
OURS = [
    mailed("ada@example.com", "cus_2"),
    subscription("sub_2", "trialing", customer_id="cus_2", created=NOW, **TRIAL),
]
READ = [("GET", "/v1/customers/cus_2"), ("GET", "/v1/subscriptions/sub_2")]
LATE = {
    "both are known, so that it is read before it ends": (OURS, READ[1:]),
    "neither is": ([], READ),
    "the customer is not": (OURS[1:], READ[:1]),
    "the customer has no address yet": ([customer("cus_2"), *OURS[1:]], READ[:1]),
    "the subscription is not": (OURS[:1], READ[1:]),
    "the subscription has not begun": (
        [OURS[0], subscription("sub_2", "incomplete", customer_id="cus_2", **TRIAL)],
        READ[1:],
    ),
}


@pytest.mark.parametrize(("rows", "read"), LATE.values(), ids=LATE)
async def test_stripe_is_asked_for_what_the_mirror_lacks_alone(mirror, stripe, scripted, fill, rows, read):
    first = [mailed("ada@example.com"), subscription(created=NOW - DAY, **TRIAL)]
    completed = {"mode": "subscription", "ui_mode": "hosted", "status": "complete", "guest": True}
    completed |= {"payment_status": "paid", "created": NOW, "expires_at": NOW, "as_of": 0, "subscription_id": "sub_2"}
    await fill(*first, CheckoutSession(id="cs_2", **completed), *rows)
    for method, path in READ:
        scripted.refuse(method, path, "resource_missing", status=404)
    await end_repeated(mirror, stripe, SESSION)
    assert [call[:2] for call in scripted.calls] == read


def began(name: str, status: str = "trialing"):
    """A trial of Ada's that began in the same second as the others of the table below."""
    return [
        mailed("ada@example.com", f"cus_{name}"),
        subscription(f"sub_{name}", status, customer_id=f"cus_{name}", created=NOW, **TRIAL),
    ]


def guests(name: str) -> CheckoutSession:
    """The completed checkout in which a guest began a trial; before, nobody knows whose it is."""
    done = {"mode": "subscription", "ui_mode": "hosted", "status": "complete", "guest": True, "payment_status": "paid"}
    return CheckoutSession(id=f"cs_{name}", subscription_id=f"sub_{name}", created=NOW, expires_at=NOW, as_of=0, **done)


WITHIN_A_SECOND = {
    "one": ([*began("a"), guests("a")], []),
    "the first of two stays": ([*began("a"), *began("b"), guests("a"), guests("b")], ["sub_b"]),
    "in whatever order they are told": ([*began("b"), *began("a"), guests("a"), guests("b")], ["sub_b"]),
    "a plan without a trial is none": (
        [mailed("ada@example.com"), subscription("sub_0", created=NOW - DAY), *began("a"), guests("a")],
        [],
    ),
    "what nobody knows of yet does not push out another": ([*began("a"), *began("b"), guests("a")], []),
    "what stayed before more was known stays": ([*began("a", "canceled"), *began("b"), guests("a"), guests("b")], []),
    "a user's own comes first": ([*began("a"), *began("b"), guests("a"), claim("ada", "cus_b")], ["sub_a"]),
}


@pytest.mark.parametrize(("rows", "ended"), WITHIN_A_SECOND.values(), ids=WITHIN_A_SECOND)
def test_of_trials_of_one_second_one_stays_however_often_one_looks(connection, rows, ended):
    put(connection, *rows)
    assert repeated(connection, "ada@example.com") == ended


def its(id: str, subscription_id: str, product: str):
    row = item(id, "month", product)
    row.subscription_id = subscription_id
    return row


async def test_the_products_of_live_subscriptions(database, fill):
    statuses = ("trialing", "active", "past_due", "unpaid", "paused", "incomplete", "incomplete_expired", "canceled")
    for status in statuses:
        await fill(subscription(f"sub_{status}", status), its(f"si_{status}", f"sub_{status}", status))
    await fill(its("si_more", "sub_active", "seats"), its("si_x", "sub_other", "x"))
    await fill(subscription("sub_other", customer_id="cus_2"))
    assert await held_products(database, "cus_1") == {
        **{status: f"sub_{status}" for status in statuses[:5]}, "seats": "sub_active",
    }  # fmt: skip


async def test_the_products_that_live_subscriptions_will_have(database, fill):
    """What is planned counts, what has been does not; nor what a subscription plans whose plans are to be made anew."""
    phases = [
        {"start": int(NOW.timestamp()) + days * 86_400, "items": [[price_id, 1]]}
        for days, price_id in ((-400 * 365, "past"), (30, "disk_m"), (60, "month"))
    ]
    given = {"customer_id": "cus_1", "phases": phases, "as_of": 0}
    await fill(subscription("sub_1", "active"), its("si_1", "sub_1", "storage"), subscription("sub_2", "canceled"))
    await fill(price("past", "past"), price("disk_m", "disk"), price("month", "storage"))
    await fill(
        SubscriptionSchedule(id="s_1", subscription_id="sub_1", status="active", **given),
        SubscriptionSchedule(id="s_2", subscription_id="sub_2", status="active", **given),
        SubscriptionSchedule(id="s_3", subscription_id="sub_1", status="released", **given),
    )
    assert await held_products(database, "cus_1") == {"storage": "sub_1", "disk": "sub_1"}
    assert await held_products(database, "cus_1", ["si_1"]) == {"storage": "sub_1", "disk": "sub_1"}
    assert await held_products(database, "cus_1", ["si_1"], "sub_1") == {}


async def test_the_products_of_a_subscription_that_is_to_begin(database, fill):
    phases = [{"start": int(NOW.timestamp()) + 86_400, "items": [["disk_m", 1]]}]
    of = {"sched_1": {}, "sched_2": {"status": "canceled"}, "sched_3": {"customer_id": "cus_2"}}
    given = {"customer_id": "cus_1", "status": "not_started", "phases": phases, "as_of": 0}
    await fill(price("disk_m", "disk"))
    for name, columns in reversed(of.items()):
        assert await held_products(database, "cus_1") == {}
        await fill(SubscriptionSchedule(id=name, **given | columns))
    assert await held_products(database, "cus_1", (), "sub_1") == {"disk": "sched_1"}
