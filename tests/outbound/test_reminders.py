"""What the application makes mails of: each once, with what a mail needs."""

from datetime import UTC, datetime

import pytest

from gateway.models.mirrored import PaymentMethod
from gateway.outbound.reminders import remind_of_cards
from harness import rows
from harness.application import listening_application
from harness.databases import both_databases
from harness.subscriptions import customer, subscribe


@pytest.fixture
def both(database_url):
    with listening_application(database_url) as made:
        yield made


def message(world, receiver, kind: str) -> dict:
    world.eventually(lambda: [body for _, body in receiver.taken if body["type"] == kind])
    (found,) = [body["data"] for _, body in receiver.taken if body["type"] == kind]
    return found


@both_databases
def test_a_trial_that_ends_a_renewal_that_comes_and_a_card_that_expires_are_told_once(both):
    world, receiver = both
    ada = customer(world, "ada", email="ada@example.com", name="Ada")
    (method,) = world.stripe("GET", "/v1/payment_methods", customer=ada)["data"]
    today = datetime.fromtimestamp(world.sandbox.now() + 3700, UTC)  # an hour on, which may be another month
    expiry = {"card[exp_month]": today.month, "card[exp_year]": today.year}
    made = subscribe(world, ada, "pro_monthly", trial_period_days=3)
    upcoming = world.stripe("POST", "/v1/invoices/create_preview", subscription=made["id"])
    upcoming.pop("id")
    for _ in range(2):
        assert world.deliver(world.event("customer.subscription.trial_will_end", made)).status_code == 200
        assert world.deliver(world.event("invoice.upcoming", upcoming)).status_code == 200
    to_whom = {"customerId": ada, "externalId": "ada", "email": "ada@example.com", "name": "Ada"}

    trial = message(world, receiver, "trial.ending")
    (item,) = trial.pop("items")
    assert (item["unitAmount"], item["quantity"]) == (2900, 1)
    ends = datetime.fromtimestamp(made["trial_end"], UTC).isoformat()
    assert trial == {
        "subscriptionId": made["id"],
        "trialEnd": ends,
        "currency": "usd",
        "hasPaymentMethod": True,
        **to_whom,
    }
    renewal = message(world, receiver, "renewal.upcoming")
    assert (renewal["total"], renewal["subscriptionId"], renewal["email"]) == (2900, made["id"], "ada@example.com")
    assert [line["amount"] for line in renewal["lines"]] == [2900]

    world.stripe("POST", f"/v1/payment_methods/{method['id']}", **expiry)
    world.eventually(lambda: world.rows("payment_method", id=method["id"])[0]["exp_year"], today.year)
    world.eventually(lambda: world.rows("payment_method", id=method["id"])[0]["exp_month"], today.month)
    world.advance(to=world.sandbox.now() + 3700)  # it is looked for every hour
    card = message(world, receiver, "payment_method.expiring")
    assert card == {
        "paymentMethodId": method["id"],
        "brand": "visa",
        "last4": "4242",
        "expMonth": today.month,
        "expYear": today.year,
        **to_whom,
    }


@pytest.mark.parametrize(("account", "found"), [("", 1), ("acct_1/", 0)])
def test_a_card_that_pays_a_connected_account_is_not_told_of(connection, account, found):
    customer_id, method_id, today = f"{account}cus_1", f"{account}pm_1", datetime.now(UTC)
    expiry = {"exp_year": today.year, "exp_month": today.month}
    method = PaymentMethod(id=method_id, customer_id=customer_id, type="card", created=today, as_of=0, **expiry)
    paid = rows.subscription(customer_id=customer_id, default_payment_method_id=method_id)
    rows.put(connection, rows.customer(customer_id), paid, method)
    assert remind_of_cards(connection) == found


def test_a_failed_charge_says_what_a_mail_needs(both):
    world, receiver = both
    ada = customer(world, "ada", email="ada@example.com")
    made = subscribe(world, ada)
    bad = world.stripe("POST", "/v1/payment_methods/pm_card_chargeCustomerFail/attach", customer=ada)
    world.stripe("POST", f"/v1/subscriptions/{made['id']}", default_payment_method=bad["id"])
    world.advance(to=made["items"]["data"][0]["current_period_end"] + 2 * 3600)
    failed = message(world, receiver, "invoice.failed")
    assert (failed["email"], failed["attempt"], failed["amountRemaining"]) == ("ada@example.com", 1, 900)
    assert failed["hostedInvoiceUrl"].startswith("http")
    assert datetime.fromisoformat(failed["nextAttempt"])
