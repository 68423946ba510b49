"""What the signed-in user and the application's back end see: all from the mirror, in a constant number of reads."""

import asyncio
import base64
import contextlib
import subprocess
import sys
import time

import pytest
from graphql import get_operation_ast, parse, print_ast

from gateway.graphql.schema import core
from harness.databases import both_databases, runtime_at
from harness.gateway import SERVICE_TOKEN
from harness.statements import statements
from harness.subscriptions import customer, price_id, settled, subscribe

SERVICE = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
ACCOUNT = """
fragment Sub on BillingSubscription {
  id status quantity willCancel cancelAt currentPeriodEnd
  plan { id amount { amount currency } product { name } }
  items { id quantity plan { id } }
  access { allowed reason until subscription { id } }
}
"""
VIEWER = (
    ACCOUNT
    + """
query Viewer($first: Int = 20, $after: String) {
  viewer {
    id email
    customer { id externalId email name currency delinquent createdAt subscription { id } paymentMethod { id } }
    subscription { ...Sub }
    subscriptions { ...Sub }
    invoices(first: $first, after: $after) {
      edges { cursor node { id } }
      nodes {
        id number status subscriptionId hostedInvoiceUrl invoicePdf createdAt paidAt
        subtotal { amount } tax { amount } total { amount currency } amountDue { amount } amountPaid { amount }
        amountRemaining { amount }
        lines { description quantity proration periodStart periodEnd amount { amount } price { id } }
      }
      pageInfo { hasNextPage hasPreviousPage endCursor }
    }
    paymentMethod { id type brand last4 expMonth expYear }
    entitlements { feature limit until source }
    access(feature: "projects") { allowed reason until limit subscription { id } }
  }
}
"""
)
CUSTOMERS = """
fragment All on Customer {
  id email
  subscription { id access { allowed } } subscriptions { id }
  invoices(first: 3) { nodes { id total { amount } } pageInfo { hasNextPage } }
  paymentMethod { last4 } entitlements { feature } access(feature: "projects") { allowed }
}
"""


LINKS = "{ viewer { invoices { nodes { ...Links } } } } fragment Links on Invoice { id hostedInvoiceUrl invoicePdf }"


@both_databases
def test_links_of_invoices_that_may_have_expired_are_read_anew_when_they_are_asked_for(world):
    ann = customer(world, "ann")
    invoice = settled(world, subscribe(world, ann)["id"])["latest_invoice"]
    world.eventually(lambda: world.rows("event", status="pending"), [])
    links = {
        "id": invoice["id"],
        "hostedInvoiceUrl": invoice["hosted_invoice_url"],
        "invoicePdf": invoice["invoice_pdf"],
    }
    headers = world.token("ann")

    def age(days):
        seconds = days * 86_400
        world._execute(f"UPDATE invoice SET hosted_invoice_url = 'https://old', as_of = as_of - {seconds}")  # noqa: S608

    def seen():
        (found,) = world.data(LINKS, headers=headers)["viewer"]["invoices"]["nodes"]
        return found

    age(8)
    assert seen()["hostedInvoiceUrl"] == "https://old"  # it is good for two more days
    age(2)
    world.data("{ viewer { invoices { nodes { id status } } } }", headers=headers)
    assert world.rows("invoice", id=invoice["id"])[0]["hosted_invoice_url"] == "https://old"  # nobody asked for it
    assert seen() == links
    age(10)
    world.client.post(f"{world.stripe_url}/_sandbox/chaos", json={"rate_limit": -1})
    assert seen()["hostedInvoiceUrl"] == "https://old"  # while Stripe is away, it is better than none


@both_databases
def test_a_viewer_sees_the_plan_the_invoice_the_card_and_the_access_that_were_bought(world):
    ann = customer(world, "ann", name="Ann")
    bought = settled(world, subscribe(world, ann, "business_monthly")["id"])
    item, invoice = bought["items"]["data"][0], bought["latest_invoice"]
    world.eventually(lambda: world.rows("entitlement_summary", id=ann))
    seen = world.data(VIEWER, headers=world.token("ann", email="ann@work.example"))["viewer"]

    assert (seen["id"], seen["email"]) == ("ann", "ann@work.example")
    assert (seen["customer"]["id"], seen["customer"]["externalId"], seen["customer"]["name"]) == (ann, "ann", "Ann")
    assert seen["subscription"]["plan"] == {
        "id": price_id(world, "business_monthly"),
        "amount": {"amount": 19900, "currency": "USD"},
        "product": {"name": "Business"},
    }
    assert seen["subscription"]["access"]["reason"] == "ACTIVE"
    assert seen["subscription"]["items"] == [{"id": item["id"], "quantity": 1, "plan": {"id": item["price"]["id"]}}]
    assert seen["subscriptions"] == [seen["subscription"]]
    (shown,) = seen["invoices"]["nodes"]
    assert (shown["id"], shown["number"], shown["status"]) == (invoice["id"], invoice["number"], "PAID")
    assert shown["total"] == {"amount": 19900, "currency": "USD"}
    assert (shown["hostedInvoiceUrl"], shown["invoicePdf"]) == (invoice["hosted_invoice_url"], invoice["invoice_pdf"])
    assert [(line["amount"]["amount"], line["proration"]) for line in shown["lines"]] == [(19900, False)]
    assert (seen["paymentMethod"]["brand"], seen["paymentMethod"]["last4"]) == ("visa", "4242")
    assert "sso" in [each["feature"] for each in seen["entitlements"]]
    assert seen["access"]["allowed"] is True
    assert seen["access"]["subscription"]["id"] == bought["id"]


def test_who_has_bought_nothing_sees_an_empty_account_and_who_is_nobody_sees_none(world):
    seen = world.data(VIEWER, headers=world.token("newcomer"))["viewer"]
    assert seen["customer"] is seen["subscription"] is seen["paymentMethod"] is None
    assert seen["subscriptions"] == seen["invoices"]["nodes"] == seen["entitlements"] == []
    assert seen["access"]["reason"] == "NO_SUBSCRIPTION"
    assert world.data(VIEWER)["viewer"] is None


def test_the_account_is_read_without_a_call_to_stripe(world):
    bought = subscribe(world, customer(world, "ann"), "pro_monthly")
    world.eventually(lambda: world.rows("entitlement_summary", id=bought["customer"]))
    world.eventually(lambda: not world.rows("event", status="pending"))

    def calls() -> list[str]:
        lines = world.client.get(f"{world.url}/metrics").text.splitlines()
        return [line for line in lines if line.startswith("gateway_stripe_calls_total")]

    before = calls()
    assert world.data(VIEWER, headers=world.token("ann"))["viewer"]["subscription"]
    assert calls() == before != []


def test_the_subscription_that_counts_is_the_one_with_access_and_then_the_bigger_plan(world):
    ann = customer(world, "ann")
    second = subscribe(world, ann, "pro_monthly")
    world.advance(to=world.sandbox.now() + 60)
    first = subscribe(world, ann)
    me = world.token("ann")
    seen = world.data(VIEWER, headers=me)["viewer"]
    assert seen["subscription"]["id"] == second["id"]
    assert {each["id"] for each in seen["subscriptions"]} == {first["id"], second["id"]}
    unpaid = world.stripe("GET", f"/v1/subscriptions/{second['id']}") | {"status": "unpaid"}
    world.deliver(world.event("customer.subscription.updated", unpaid, created=second["created"] + 30))
    assert world.data(VIEWER, headers=me)["viewer"]["subscription"]["id"] == first["id"]


def test_a_plan_says_what_the_viewer_may_do_with_it(world):
    query = "{ pricing { products { plans { price { lookupKey } viewer { %s } } } } }"
    me = world.token("ann", email="ann@work.example", email_verified=True)

    def seen(field: str, headers) -> dict:
        products = world.data(query % field, headers=headers)["pricing"]["products"]
        plans = [plan for product in products for plan in product["plans"]]
        return {plan["price"]["lookupKey"]: plan["viewer"] and plan["viewer"][field] for plan in plans}

    keys = ("starter_monthly", "starter_yearly", "pro_monthly", "business_monthly")

    def actions() -> list[str]:
        return [seen("action", me)[key] for key in keys]

    assert set(seen("action", None).values()) == {None}
    assert actions() == ["SUBSCRIBE"] * 4
    assert seen("trialDays", me)["pro_monthly"] == 14
    bought = subscribe(world, customer(world, "ann"), "pro_monthly", trial_period_days=14)
    assert actions() == ["DOWNGRADE", "DOWNGRADE", "CURRENT", "UPGRADE"]
    assert set(seen("currency", me).values()) == {"USD"}
    page = '{ pricing(country: "DE") { currency currencyChoice } }'
    bound, free = (world.data(page, headers=headers)["pricing"]["currencyChoice"] for headers in (me, None))
    assert (bound, free) == ("VIEWER", "COUNTRY")
    assert seen("subscriptionId", me)["business_monthly"] == bought["id"]
    assert set(seen("reasonText", me).values()) == {None}
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", **{"pause_collection[behavior]": "void"})
    world.eventually(lambda: seen("reason", me)["business_monthly"], "SUBSCRIPTION_PAUSED")
    assert "paused" in seen("reasonText", me)["business_monthly"]
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", pause_collection="")
    world.eventually(lambda: actions()[2], "CURRENT")
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", cancel_at_period_end="true")
    world.eventually(lambda: actions()[2], "RESUME")
    world.stripe("DELETE", f"/v1/subscriptions/{bought['id']}")
    world.eventually(actions, ["SUBSCRIBE"] * 4)
    assert seen("trialDays", me)["pro_monthly"] is None  # he has had one


def test_the_payment_method_is_the_subscriptions_then_the_customers_then_the_newest(world):
    ann = customer(world, "ann")
    bought = subscribe(world, ann)
    last4 = "{ viewer { paymentMethod { last4 } } }"

    def shown():
        return world.data(last4, headers=world.token("ann"))["viewer"]["paymentMethod"]["last4"]

    default, newest = (
        world.stripe("POST", f"/v1/payment_methods/{card}/attach", customer=ann)["id"]
        for card in ("pm_card_mastercard", "pm_card_amex")
    )
    world.stripe("POST", f"/v1/customers/{ann}", **{"invoice_settings[default_payment_method]": default})
    world.eventually(lambda: world.rows("customer", id=ann)[0]["default_payment_method_id"], default)
    world.eventually(lambda: world.rows("payment_method", id=newest))
    assert shown() == "4242"
    world.stripe("POST", f"/v1/payment_methods/{bought['default_payment_method']}/detach")
    world.eventually(shown, "4444")
    world.stripe("POST", f"/v1/payment_methods/{default}/detach")
    world.eventually(shown, "0005")


@both_databases
def test_invoices_are_read_in_pages_the_newest_first_and_without_drafts(world):
    ann = customer(world, "ann")
    made = [finished_invoice(world, ann, amount=100 + number) for number in range(5)]
    world.stripe("POST", "/v1/invoices", customer=ann)  # a draft
    world.eventually(lambda: len(world.rows("invoice", customer_id=ann)), 6)
    world.eventually(lambda: len(world.rows("invoice", status="paid")), 5)
    me = world.token("ann")
    pages, after = [], None
    while True:
        page = world.data(VIEWER, {"first": 2, "after": after}, me)["viewer"]["invoices"]
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        pages.append([node["id"] for node in page["nodes"]])
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert [len(page) for page in pages] == [2, 2, 1]
    rows = {row["id"]: row["created"] for row in world.rows("invoice")}
    shown = [invoice_id for page in pages for invoice_id in page]
    assert sorted(shown) == sorted(made)
    assert shown == sorted(shown, key=lambda invoice_id: (rows[invoice_id], invoice_id), reverse=True)


def finished_invoice(world, customer_id: str, amount: int) -> str:
    """A paid invoice over an amount of cents."""
    world.stripe("POST", "/v1/invoiceitems", customer=customer_id, amount=amount, currency="usd")
    invoice = world.stripe("POST", "/v1/invoices", customer=customer_id, pending_invoice_items_behavior="include")
    (method, *_) = world.stripe("GET", "/v1/payment_methods", customer=customer_id)["data"]
    world.stripe("POST", f"/v1/invoices/{invoice['id']}/pay", payment_method=method["id"])
    return invoice["id"]


def cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "arguments",
    [
        {"first": 0},
        {"first": 101},
        *(
            {"after": after}
            for after in ("", "nonsense", "YWJj", cursor("1 in_\0"), cursor("99999999999999999999 in_1"))
        ),
    ],
)
def test_a_page_that_cannot_be_is_refused_also_for_who_has_no_invoices(world, arguments):
    answer = world.graphql(VIEWER, arguments, world.token("newcomer")).json()
    assert [(error["path"], error["extensions"]["code"]) for error in answer["errors"]] == [
        (["viewer", "invoices"], "BAD_USER_INPUT")
    ]


def test_another_users_account_is_never_shown(world):
    subscribe(world, customer(world, "ann"))
    seen = world.data(VIEWER, headers=world.token("bob"))["viewer"]
    assert seen["customer"] is None
    assert seen["subscriptions"] == seen["invoices"]["nodes"] == []


def test_only_the_back_end_may_ask_for_any_customer(world):
    subscribe(world, customer(world, "ann"))
    query = 'query { customer(externalId: "ann") { id } }'
    for headers, code in (
        (None, "UNAUTHENTICATED"),
        (world.token("ann"), "FORBIDDEN"),
        (world.token("bob"), "FORBIDDEN"),
    ):
        answer = world.graphql(query, headers=headers).json()
        assert [error["extensions"]["code"] for error in answer["errors"]] == [code]
    assert world.data(query, headers=SERVICE)["customer"]["id"].startswith("cus_")
    assert world.data('{ customer(externalId: "nobody") { id } }', headers=SERVICE)["customer"] is None


@both_databases
def test_many_customers_at_once_cost_as_many_queries_as_one(world):
    people = [f"user_{number}" for number in range(8)]
    for person in people:
        subscribe(world, customer(world, person), "pro_monthly")

    def cost(some: list[str]) -> int:
        fields = " ".join(
            f'c{place}: customer(externalId: "{person}") {{ ...All }}' for place, person in enumerate(some)
        )
        with statements() as seen:
            found = world.data(f"{CUSTOMERS} query {{ {fields} }}", headers=SERVICE)
        assert [found[f"c{place}"]["invoices"]["nodes"] != [] for place in range(len(some))] == [True] * len(some)
        assert len({found[f"c{place}"]["id"] for place in range(len(some))}) == len(some)
        return len(seen)

    cost(people)  # a new connection asks the server who it is
    assert (
        cost(people[:1]) == cost(people) == 4
    )  # customers with subscriptions and all, unpaid renewals, methods, invoices


def test_a_viewer_with_many_subscriptions_and_invoices_costs_as_many_queries_as_one_with_few(world):
    ann = customer(world, "ann")
    subscribe(world, ann)
    me = world.token("ann")

    def cost() -> int:
        with statements() as seen:
            world.data(VIEWER, headers=me)
        return len(seen)

    cost()
    few = cost()
    for lookup_key in ("pro_monthly", "business_monthly", "team_monthly"):
        subscribe(world, ann, lookup_key)
    assert cost() == few == 4


def test_each_field_alone_shows_what_it_shows_among_the_others(world):
    """What a query wants is read before any field is resolved: what a field needs must not be forgotten."""
    bought = subscribe(world, customer(world, "ann", name="Ann"), "pro_monthly")
    world.eventually(lambda: world.rows("entitlement_summary", id=bought["customer"]))
    me = world.token("ann", email="ann@work.example")
    whole = world.data(VIEWER, headers=me)["viewer"]
    others = {
        *("accessTo", "creditKinds", "credits", "purchases", "usage", "previewChange", "quoteChange")
    }  # which read by themselves
    assert core.type_map["Viewer"].fields.keys() - whole.keys() == others
    operation = get_operation_ast(parse(VIEWER))
    for field in operation.selection_set.selections[0].selection_set.selections:
        name, text = field.name.value, print_ast(field)
        assert whole[name], "an empty field would prove nothing"
        rest = ACCOUNT if "...Sub" in text else ""
        taken = "($first: Int = 20, $after: String)" if "$first" in text else ""
        assert world.data(f"{rest} query{taken} {{ viewer {{ {text} }} }}", headers=me)["viewer"][name] == whole[name]
        if name in core.type_map["Customer"].fields and name not in {"id", "email"}:
            rest += f" fragment C on Customer {{ {text} }}"
            deep = world.data(f"{rest} query{taken} {{ viewer {{ ... {{ customer {{ ...C }} }} }} }}", headers=me)
            assert deep["viewer"]["customer"][name] == whole[name]


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres_url"], indirect=True)
def test_connections_that_were_lost_meanwhile_are_not_noticed(world):
    """Nobody asks a connection whether it is alive before something is read with it: that would cost a statement."""
    subscribe(world, customer(world, "ann"))
    me = world.token("ann")
    before = world.data(VIEWER, headers=me)
    assert world._execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND datname = current_database()"
    ).all()
    assert world.data(VIEWER, headers=me) == before


def test_what_fails_beside_a_shared_reading_does_not_take_it_along(world):
    """graphql-core cancels the fields beside one that has failed; another part of the query waits for the same rows."""
    subscribe(world, customer(world, "ann"))
    failing = 'access(feature: "x") { reason } invoices(first: 0) { nodes { id } }'
    query = f'{{ one: viewer {{ {failing} }} two: viewer {{ access(feature: "x") {{ reason }} }} }}'
    answer = world.graphql(query, headers=world.token("ann"))
    assert answer.status_code == 200
    assert answer.json()["data"] == {"one": None, "two": {"access": {"reason": "NOT_INCLUDED"}}}
    assert [error["path"] for error in answer.json()["errors"]] == [["one", "invoices"]]


LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    connection.execute(statement).fetchall()
print("locked", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def held(url, *statements):
    """Another process that has executed statements and holds the locks that they took; a function lets go of them."""
    command = [sys.executable, "-c", LOCK, url.removeprefix("sqlite:///"), *statements]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"locked\n"
        yield process.stdin.close
        process.stdin.close()


async def longest_pause(reading):
    """What a reading gives, the seconds that it took, and the longest in which the event loop did nothing else."""
    began = last = time.monotonic()
    longest, running = 0.0, asyncio.create_task(reading)
    while not running.done():
        await asyncio.sleep(0.001)  # what comes later than that was in the way
        last, before = time.monotonic(), last
        longest = max(longest, last - before)
    return running.result(), last - began, longest


def one(connection):
    return connection.exec_driver_sql("SELECT 1 FROM customer UNION SELECT 1").scalar()


async def test_a_database_that_is_locked_keeps_no_event_loop_and_is_read_as_soon_as_it_is_free(sqlite_url):
    database = runtime_at(sqlite_url).database
    with held(sqlite_url, "PRAGMA locking_mode=EXCLUSIVE", "BEGIN EXCLUSIVE") as let_go:
        asyncio.get_running_loop().call_later(0.6, let_go)
        found, seconds, pause = await longest_pause(database.read(one))
    assert (found, seconds > 0.5) == (1, True)
    assert pause < seconds / 2
    await database.close()


async def test_a_long_reading_does_not_keep_the_event_loop_and_the_next_one_is_none_the_worse(sqlite_url):
    count = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 2000000) SELECT count(*) FROM c"
    database = runtime_at(sqlite_url).database
    found, seconds, pause = await longest_pause(
        database.read(lambda connection: connection.exec_driver_sql(count).scalar())
    )
    assert found == 2_000_000
    assert pause < seconds / 2
    assert await database.read(one) == 1
    await database.close()


def test_while_another_process_writes_for_long_an_account_is_read_as_it_was(world, sqlite_url):
    subscribe(world, customer(world, "ann"))
    me = world.token("ann")
    before = world.data(VIEWER, headers=me)
    with held(sqlite_url, "BEGIN EXCLUSIVE", "UPDATE customer SET name = 'somebody else'"):
        began = time.monotonic()
        assert world.data(VIEWER, headers=me) == before
        assert world.client.get(f"{world.url}/healthz").status_code == 200
        assert time.monotonic() - began < 4  # SQLite waits 5 seconds for a lock
