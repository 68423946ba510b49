"""Events as Stripe has sent them since 2019, thin events and those of other accounts: one route takes them all."""

import itertools
import json
import time
from datetime import UTC, datetime

import pytest

from harness.gateway import make_world
from harness.paths import TESTS

RECORDED = {path.stem: json.loads(path.read_text()) for path in sorted((TESTS / "recorded").glob("*.json"))}
CARD = {"payment_method": "pm_card_visa", "invoice_settings[default_payment_method]": "pm_card_visa"}
MOMENTS = itertools.count(int(time.time()) + 1000, 10)
FRIEND, STRANGER, OWN = "acct_friend", "acct_stranger", "acct_own"


@pytest.fixture(scope="module")
def world(new_sqlite):
    with make_world(new_sqlite(), connect_accounts=FRIEND, stripe_account=OWN, event_catch_up_minutes=0) as made:
        made.client.post(f"{made.stripe_url}/_sandbox/chaos", json={"drop": 1})  # only the tests' own deliveries
        yield made


@pytest.fixture(scope="module")
def bought(world):
    return buy(world)


def buy(world):
    """Sell a subscription whose price brings credits, as Stripe has it today, of which no event has arrived here."""
    price = world.stripe(
        "POST",
        "/v1/prices",
        currency="usd",
        unit_amount=900,
        **{"recurring[interval]": "month", "product_data[name]": "Tea", "metadata[credits]": "10"},
    )
    customer = world.stripe("POST", "/v1/customers", email="ada@example.com", **CARD)
    return world.stripe("POST", "/v1/subscriptions", customer=customer["id"], **{"items[0][price]": price["id"]})


def day(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def deliver(world, event):
    """Deliver an event, see it through, and give what the inbox says of it."""
    answer = world.deliver(event)
    assert answer.status_code == 200, answer.text
    world.eventually(lambda: world.status_of(event) not in {None, "pending"})
    return world.rows("event", id=event["id"])[0]


def row(world, table, **equals):
    (found,) = world.rows(table, **equals)
    return {
        name: json.loads(value) if name in {"lines", "tiers", "features", "meta"} else value
        for name, value in found.items()
    }


READ = {
    "2019-03-14.product.created": ("product", "prod_Rec2019", {"name": "Gold", "unit_label": "seat"}),
    "2019-03-14.plan.created": (
        "price",
        "silver-tiered",
        {"interval": "month", "unit_amount": None, "tiers_mode": "graduated", "nickname": "Silver"},
    ),
    "2019-03-14.customer.updated": ("customer", "cus_Rec2019", {"email": "team@example.com", "currency": "gbp"}),
    "2019-03-14.customer.subscription.created": (
        "subscription",
        "sub_Rec2019",
        {"status": "trialing", "currency": "gbp", "customer_id": "cus_Rec2019", "latest_invoice_id": "in_Rec2019"},
    ),
    "2019-03-14.invoice.payment_succeeded": (
        "invoice",
        "in_Rec2019",
        {"status": "paid", "total": 6000, "tax": 0, "subscription_id": "sub_Rec2019", "attempt_count": 1},
    ),
    "2020-03-02.invoice.paid": ("invoice", "in_Rec2020", {"status": "paid", "tax": 800, "subscription_id": None}),
    "2020-03-02.payment_method.attached": (
        "payment_method",
        "pm_Rec2020",
        {"customer_id": "cus_Rec2020", "brand": "visa", "last4": "4242", "exp_year": 2030},
    ),
    "2020-08-27.price.created": ("price", "price_Rec2021", {"interval": "month", "unit_amount": 900}),
    "2020-08-27.charge.refunded": (
        "charge",
        "ch_Rec2020",
        {"amount_refunded": 4000, "invoice_id": "in_Rec2020", "payment_intent_id": "pi_Rec2020"},
    ),
    "2022-11-15.checkout.session.async_payment_failed": (
        "checkout_session",
        "cs_test_Rec2022",
        {
            "status": "complete",
            "payment_status": "unpaid",
            "ui_mode": "hosted_page",
            "customer_email": "buyer@example.com",
        },
    ),
    "2023-10-16.product.updated": ("product", "prod_Rec2023", {"features": ["Unlimited projects", "Exports"]}),
    "2025-08-27.basil.customer.subscription.updated": (
        "subscription",
        "sub_Rec2025",
        {"status": "active", "currency": "brl", "default_payment_method_id": "pm_Rec2025"},
    ),
    "2025-08-27.basil.invoice.payment_succeeded": (
        "invoice",
        "in_Rec2025",
        {"status": "paid", "subscription_id": "sub_Rec2025", "total": 2990},
    ),
    "2026-01-28.clover.customer.subscription.updated": ("subscription", "sub_Rec2026", {"status": "active"}),
}


@pytest.mark.parametrize("name", READ)
def test_an_event_of_any_year_is_read_as_it_is(world, name):
    table, object_id, columns = READ[name]
    recorded = deliver(world, RECORDED[name])
    assert recorded["status"] == "applied"
    assert recorded["outcome"] in {"created", "updated"}  # and not fetched
    found = row(world, table, id=object_id)
    assert {column: found[column] for column in columns} == columns


ITEMS = {
    "2019-03-14.customer.subscription.created": (
        "si_Rec2019",
        "gold-monthly",
        "prod_Rec2019",
        3,
        "2019-07-15T13:20:00",
    ),
    "2025-08-27.basil.customer.subscription.updated": ("si_Rec2025", "price_Rec2025", "prod_Rec2025", 1, "2025-12-19"),
    "2026-01-28.clover.customer.subscription.updated": ("si_Rec2026", "price_Rec2025", "prod_Rec2025", 1, "2025-12-19"),
}


@pytest.mark.parametrize("name", ITEMS)
def test_what_is_subscribed_to_and_until_when_is_found_where_its_year_puts_it(world, name):
    item, price, product, quantity, end = ITEMS[name]
    deliver(world, RECORDED[name])
    found = row(world, "subscription_item", id=item)
    assert (found["price_id"], found["product_id"], found["quantity"]) == (price, product, quantity)
    assert str(found["current_period_end"])[:10] == end[:10]


LINES = {
    "2019-03-14.invoice.payment_succeeded": ("in_Rec2019", "il_Rec2019", "gold-monthly", "si_Rec2019"),
    "2020-03-02.invoice.paid": ("in_Rec2020", "il_Rec2020", "price_Rec2020", None),
    "2025-08-27.basil.invoice.payment_succeeded": ("in_Rec2025", "il_Rec2025", "price_Rec2025", "si_Rec2025"),
}


@pytest.mark.parametrize("name", LINES)
def test_an_invoices_line_has_the_id_by_which_every_version_knows_it_and_its_price(world, name):
    invoice, line, price, item = LINES[name]
    deliver(world, RECORDED[name])
    (found,) = row(world, "invoice", id=invoice)["lines"]
    assert (found["id"], found["price"], found["subscription_item"]) == (line, price, item)


@pytest.mark.parametrize(
    ("name", "table", "listed"),
    [
        ("2019-05-16.charge.succeeded", "charge", "/v1/charges"),  # how much was captured
        ("2019-05-16.invoice.payment_succeeded", "invoice", "/v1/invoices"),  # the lines' lasting ids
    ],
)
def test_what_a_payload_does_not_say_is_fetched_and_not_guessed(world, bought, name, table, listed):
    at_stripe = world.stripe("GET", listed, customer=bought["customer"])["data"][0]
    event = json.loads(json.dumps(RECORDED[name]).replace(RECORDED[name]["data"]["object"]["id"], at_stripe["id"]))
    recorded = deliver(world, event)
    assert recorded["status"] == "applied"
    assert recorded["outcome"].startswith("unreadable, fetched instead")
    found = row(world, table, id=at_stripe["id"])
    assert found["customer_id"] == bought["customer"]
    if table == "charge":
        assert found["amount_captured"] == at_stripe["amount_captured"] == 900
    else:
        assert [line["id"] for line in found["lines"]] == [line["id"] for line in at_stripe["lines"]["data"]]


def test_a_checkout_session_of_2019_is_fetched(world):
    session = world.stripe(
        "POST",
        "/v1/checkout/sessions",
        mode="setup",
        currency="usd",
        success_url="https://shop.example/done",
    )
    event = json.loads(
        json.dumps(RECORDED["2019-11-05.checkout.session.completed"]).replace("cs_to_be_fetched", session["id"])
    )
    assert deliver(world, event)["outcome"].startswith("unreadable, fetched instead")
    assert row(world, "checkout_session", id=session["id"])["status"] == "open"


def test_an_invoice_told_in_the_shape_of_2019_and_in_todays_brings_its_credits_once(world, bought):
    invoice = world.stripe("GET", f"/v1/invoices/{bought['latest_invoice']}")
    (line,) = invoice["lines"]["data"]
    price = world.stripe("GET", f"/v1/prices/{line['pricing']['price_details']['price']}")
    then = RECORDED["2019-03-14.invoice.payment_succeeded"]["data"]["object"]
    (old_line,) = then["lines"]["data"]
    lines = [
        {
            **old_line,
            "unique_id": line["id"],
            "price": price,
            "plan": None,
            "quantity": 1,
            "amount": 900,
            "period": line["period"],
        }
    ]
    old = {**then, "id": invoice["id"], "customer": bought["customer"], "lines": {**then["lines"], "data": lines}}
    deliver(world, world.event("price.created", price, created=price["created"]))
    now = int(time.time())

    deliver(
        world,
        world.event("invoice.paid", {**old, "subscription": bought["id"]}, created=now + 20, api_version="2019-03-14"),
    )
    deliver(world, world.event("invoice.paid", invoice, created=now + 30))

    granted = [entry["amount"] for entry in world.rows("credit_entry", customer_id=bought["customer"])]
    assert granted == [10]


def thin(kind, related, **more):
    return {
        "id": f"evt_test_{time.monotonic_ns()}",
        "object": "v2.core.event",
        "type": kind,
        "livemode": False,
        "created": "2026-09-17T06:20:52.246Z",
        "context": None,
        "related_object": related and {**related, "url": f"/v1/objects/{related['id']}"},
        **more,
    }


def test_a_thin_event_holds_a_name_alone_and_its_object_is_fetched(world):
    product = world.stripe("POST", "/v1/products", name="Thin")
    event = thin("v1.product.created", {"id": product["id"], "type": "product"})
    assert deliver(world, event)["status"] == "applied"
    assert row(world, "product", id=product["id"])["name"] == "Thin"


@pytest.mark.parametrize("said_by", ["price", "product"])
@pytest.mark.parametrize("shape", ["snapshot", "thin", "unreadable"])
def test_a_paid_invoice_of_which_nothing_is_known_here_grants_its_credits(world, shape, said_by):
    about = {"metadata[credits]": "10"}
    product = world.stripe("POST", "/v1/products", name="Unheard of", **(about if said_by == "product" else {}))["id"]
    monthly = {"currency": "usd", "unit_amount": 500, "recurring[interval]": "month", "product": product}
    price = world.stripe("POST", "/v1/prices", **monthly, **(about if said_by == "price" else {}))["id"]
    customer = world.stripe("POST", "/v1/customers", email="thin@example.com", **CARD)["id"]
    made = world.stripe("POST", "/v1/subscriptions", customer=customer, **{"items[0][price]": price})
    invoice = world.stripe("GET", f"/v1/invoices/{made['latest_invoice']}")
    said = invoice if shape == "snapshot" else {"id": invoice["id"], "object": "invoice"}
    of = {"id": invoice["id"], "type": "invoice"}
    deliver(world, thin("v1.invoice.paid", of) if shape == "thin" else world.event("invoice.paid", said))
    assert [entry["amount"] for entry in world.rows("credit_entry", customer_id=customer)] == [10]


def test_a_thin_event_of_a_refund_finds_its_charge(world):
    bought = buy(world)  # of its own: what was refunded has lost credits
    charge = world.stripe("GET", "/v1/charges", customer=bought["customer"])["data"][0]
    refund = world.stripe("POST", "/v1/refunds", charge=charge["id"], amount=100)
    deliver(world, thin("v1.refund.created", {"id": refund["id"], "type": "refund"}))
    assert row(world, "charge", id=charge["id"])["amount_refunded"] == 100


@pytest.mark.parametrize(
    "event",
    [
        thin("v2.core.event_destination.ping", {"id": "ed_1", "type": "v2.core.event_destination"}),
        thin("v1.billing.meter.of_another_day", None),
        thin("v1.product.updated", None),
    ],
    ids=["a ping", "about nothing", "about nothing, of a type that is known"],
)
def test_a_thin_event_that_changes_nothing_here_is_recorded_as_ignored(world, event):
    assert deliver(world, event)["status"] == "ignored"


WHOSE = {
    "ours": ({}, "applied"),
    "ours, said to be": ({"account": None, "context": None}, "applied"),
    "ours, of an organisation's endpoint": ({"context": f"org_1/{OWN}"}, "applied"),
    "a named account's": ({"account": FRIEND}, "applied"),
    "a stranger's": ({"account": STRANGER}, "ignored"),
    "a named account's, of an organisation's endpoint": ({"context": f"org_1/{FRIEND}"}, "applied"),
    "a stranger's, of an organisation's endpoint": ({"context": STRANGER}, "ignored"),
    "a stranger's, below an organisation": ({"context": f"org_1/{STRANGER}"}, "ignored"),
    "an organisation's own": ({"context": "org_1"}, "ignored"),
    "nobody's": ({"account": [FRIEND]}, "ignored"),
}


@pytest.mark.parametrize("shape", ["snapshot", "thin"])
@pytest.mark.parametrize(("whose", "status"), list(WHOSE.values()), ids=list(WHOSE))
def test_whose_event_it_is_decides_whether_it_is_applied(world, shape, whose, status):
    product = world.stripe("POST", "/v1/products", name="Somebody's")
    if shape == "thin":
        event = thin("v1.product.created", {"id": product["id"], "type": "product"}, **whose)
    else:
        event = world.event("product.created", product, **whose)
    assert deliver(world, event)["status"] == status
    key = f"{FRIEND}/{product['id']}" if FRIEND in str(whose) else product["id"]
    assert bool(world.rows("product", id=key)) == (status == "applied")


@pytest.mark.parametrize("version", ["2024-06-20", "2025-02-24.acacia", "2025-08-27.basil", "2026-01-28.clover"])
def test_what_any_version_says_of_an_object_is_what_todays_version_says(world, bought, version):
    customer = bought["customer"]
    session = world.stripe(
        "POST", "/v1/checkout/sessions", mode="setup", currency="usd", success_url="https://shop.example/done"
    )
    charge = world.stripe("GET", "/v1/charges", customer=customer)["data"][0]
    moment = next(MOMENTS)
    for kind, path in {
        "customer.subscription.updated": f"/v1/subscriptions/{bought['id']}",
        "invoice.updated": f"/v1/invoices/{bought['latest_invoice']}",
        "charge.updated": f"/v1/charges/{charge['id']}",
        "customer.updated": f"/v1/customers/{customer}",
        "payment_method.updated": f"/v1/payment_methods/{charge['payment_method']}",
        "checkout.session.expired": f"/v1/checkout/sessions/{session['id']}",
    }.items():
        headers = {"Authorization": "Bearer sk_test_tests", "Stripe-Version": version}
        then = world.client.get(f"{world.stripe_url}{path}", headers=headers).json()
        assert deliver(world, world.event(kind, then, created=moment, api_version=version))["status"] == "applied"
        # within one second only what says the same is known to be so without asking Stripe
        assert deliver(world, world.event(kind, world.stripe("GET", path), created=moment))["status"] == "stale", kind
