"""What is read of users' accounts, many at once: from tables in memory."""

from datetime import UTC, datetime

import pytest

from gateway.billing.customers.account import AccountSelection, read
from gateway.billing.customers.payment_methods import default_of, of_customers
from gateway.billing.subscriptions import state
from gateway.errors import BadInput
from gateway.models.mirrored import EntitlementSummary, PaymentMethod
from harness.databases import both_connections
from harness.rows import DAY, NOW, at, customer, invoice, item, line, put, subscription

GRACE = 7 * DAY
LATER = int(NOW.timestamp())


def method(id: str, days: float = 0, **columns) -> PaymentMethod:
    given = {"customer_id": "cus_1", "type": "card", "created": at(days), "as_of": 0, **columns}
    return PaymentMethod(id=id, **given)


def features(*names: str, customer_id: str = "cus_1", **columns) -> EntitlementSummary:
    return EntitlementSummary(id=customer_id, features=list(names), as_of=0, **columns)


def only(connection, **wanted):
    asked = AccountSelection("ada", **wanted)
    return read(connection, [asked], GRACE)[asked]


@pytest.fixture
def filled(connection):
    """Ada's account with everything, Bob's, and what is nobody's."""
    put(connection, customer(external_id="ada"), customer("cus_2", "bob"), customer("cus_3"), customer("cus_4", "eve"))
    put(connection, subscription(as_of=LATER), subscription("sub_2", customer_id="cus_2", as_of=LATER))
    put(connection, item("si_1", "month", "pro"), features("sso", "projects"), features("x", customer_id="cus_3"))
    put(connection, method("pm_1", -1), method("pm_2"), method("pm_3", customer_id="cus_2"))
    put(connection, invoice("in_1", days=-3), invoice("in_2", days=-2), invoice("in_3", customer_id="cus_2"))
    return connection


def test_a_user_without_a_customer_has_nothing(connection):
    found = only(connection, methods=True, pages=frozenset({(5, None)}))
    assert (found.customer, found.subscriptions, found.features, found.methods) == (None, (), (), ())
    page = found.invoices(5, None)
    assert (page.rows, page.has_next, page.has_previous) == ([], False, False)


def test_what_nobody_asks_for_is_not_read(filled):
    found = only(filled)
    assert (found.customer.id, found.features, found.methods, found.pages) == ("cus_1", ["sso", "projects"], (), {})
    assert [(each.subscription.id, len(each.items), each.access.allowed) for each in found.subscriptions] == [
        ("sub_1", 1, True)
    ]


@both_connections
def test_of_those_that_have_ended_the_paid_and_the_newest_are_read_and_all_where_all_are_wanted(connection):
    put(connection, customer(external_id="ada"), customer("cus_2", "bob"))
    put(connection, subscription("sub_live", "past_due", created=at(-400)))
    put(connection, *(subscription(f"sub_{n:03}", "canceled", created=at(-n), as_of=LATER) for n in range(1, 101)))
    rest = invoice("in_1", line(-3, 27, subscription_item="si_1"), subscription_id="sub_090")
    put(connection, item("si_1", "month", "pro", subscription_id="sub_090"), rest)
    put(
        connection,
        invoice("in_2", line(-99, -69), subscription_id="sub_080", service_end=datetime(2025, 1, 1, tzinfo=UTC)),
    )
    newest = [f"sub_{n:03}" for n in range(1, 11)]
    found = {each.subscription.id: each.access.allowed for each in only(connection).subscriptions}
    assert found == {**dict.fromkeys([*newest, "sub_live"], False), "sub_090": True}
    assert len(only(connection, ended=True).subscriptions) == 101
    states = state.of_customers(connection, ["cus_1", "cus_2"], GRACE)
    assert {owner: {each.subscription.id for each in its} for owner, its in states.items()} == {"cus_1": found.keys()}


def test_everything_of_one(filled):
    found = only(filled, methods=True, pages=frozenset({(1, None), (5, None)}))
    assert [each.id for each in found.methods] == ["pm_2", "pm_1"]
    assert [(len(found.invoices(n, None).rows), found.invoices(n, None).has_next) for n in (1, 5)] == [
        (1, True),
        (2, False),
    ]


def test_several_at_once_each_with_what_was_asked(filled):
    ada, bob = AccountSelection("ada", methods=True), AccountSelection("bob", pages=frozenset({(5, None)}))
    eve, nobody = AccountSelection("eve", methods=True), AccountSelection("nobody", pages=frozenset({(5, None)}))
    found = read(filled, [ada, bob, eve, nobody], GRACE)
    assert [found[each].customer and found[each].customer.id for each in (ada, bob, eve, nobody)] == [
        "cus_1", "cus_2", "cus_4", None,
    ]  # fmt: skip
    assert [[method.id for method in found[each].methods] for each in (ada, bob, eve, nobody)] == [
        ["pm_2", "pm_1"], [], [], [],
    ]  # fmt: skip
    assert [[each.subscription.id for each in found[who].subscriptions] for who in (ada, bob, eve)] == [
        ["sub_1"], ["sub_2"], [],
    ]  # fmt: skip
    assert [each.id for each in found[bob].invoices(5, None).rows] == ["in_3"]
    assert found[nobody].invoices(5, None).rows == []
    assert [list(found[each].features) for each in (bob, eve, nobody)] == [[], [], []]
    assert [list(found[each].pages) for each in (ada, bob)] == [[], [(5, None)]]


def test_the_grace_period_is_given(filled):
    put(filled, customer("cus_9", "zoe"), subscription("sub_9", "past_due", customer_id="cus_9", as_of=LATER))
    its = item("si_9", "month", "pro")
    its.subscription_id = "sub_9"
    put(filled, its)
    wanted = AccountSelection("zoe")
    for grace, allowed in ((7 * DAY, True), (2 * DAY, False)):
        (found,) = read(filled, [wanted], grace)[wanted].subscriptions
        assert found.access.allowed is allowed


@pytest.mark.parametrize("page", [(0, None), (101, None), (5, "nonsense")])
def test_a_page_that_cannot_be_is_told_to_whom_asks_for_it(filled, page):
    found = only(filled, pages=frozenset({page, (5, None)}))
    with pytest.raises(BadInput):
        found.invoices(*page)
    assert len(found.invoices(5, None).rows) == 2
    assert list(found.invoices_with_old_links(NOW)) == []


def test_invoices_whose_links_may_have_expired(filled):
    url = {"hosted_invoice_url": "https://stripe.example/i"}
    put(filled, invoice("in_8", days=-1, **url), invoice("in_9", days=-1, as_of=LATER, **url))
    assert list(only(filled, pages=frozenset({(5, None)})).invoices_with_old_links(NOW)) == ["in_8"]


@pytest.mark.parametrize(
    "rows", [[customer(external_id="ada", deleted=True)], [customer(external_id="bob")], [customer()]]
)
def test_what_is_deleted_or_anothers_is_not_the_users(connection, rows):
    put(connection, *rows)
    assert only(connection).customer is None


def test_what_is_deleted_of_a_customer_is_left_out(connection):
    put(connection, customer(external_id="ada"), features("sso", deleted=True), subscription(deleted=True))
    found = only(connection)
    assert (found.customer.id, list(found.features), list(found.subscriptions)) == ("cus_1", [], [])


# --- Payment methods ----------------------------------------------------------------------------------------------


def test_the_methods_of_each_customer_the_newest_first(connection):
    put(connection, method("a", -2), method("b", -1), method("c", -1), method("d", deleted=True))
    put(connection, method("e", customer_id="cus_2"), method("f", customer_id="cus_3"), method("g", customer_id=None))
    found = of_customers(connection, ["cus_1", "cus_2", "cus_9"])
    assert {who: [each.id for each in some] for who, some in found.items()} == {
        "cus_1": ["c", "b", "a"],
        "cus_2": ["e"],
    }


METHODS = [method("new"), method("old"), method("other")]


@pytest.mark.parametrize(
    ("of_subscription", "of_customer", "methods", "expected"),
    [
        ("old", "other", METHODS, "old"),
        (None, "other", METHODS, "other"),
        ("gone", "other", METHODS, "other"),
        ("gone", "gone", METHODS, "new"),
        (None, None, METHODS, "new"),
        ("old", "other", [], None),
    ],
)
def test_what_the_next_invoice_is_charged_to(of_subscription, of_customer, methods, expected):
    whose = customer(default_payment_method_id=of_customer)
    found = default_of(whose, subscription(default_payment_method_id=of_subscription), methods)
    assert (found and found.id) == expected


def test_without_a_subscription_the_customers_counts():
    assert default_of(customer(default_payment_method_id="old"), None, METHODS).id == "old"
