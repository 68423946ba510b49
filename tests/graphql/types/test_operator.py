"""Operators see everything below one field, do what their role says, and all of it stands in the audit log."""

import pytest

from harness.databases import both_databases
from harness.gateway import SERVICE, make_world
from harness.subscriptions import customer, price_id, settled, subscribe

ANN, BOB = ({"Authorization": f"Bearer op_{letter * 40}"} for letter in "ab")
CONSOLE = {"console": True, "operator_tokens": f"ann:act:op_{'a' * 40},bob:read:op_{'b' * 40}"}
CARD = {"payment_method": "pm_card_visa", "invoice_settings[default_payment_method]": "pm_card_visa"}
WHY = """query($id: ID!, $feature: String!) { operator { customer(id: $id) {
    listed { externalId } subscriptions { id status } invoices { nodes { id } } credits { balance }
    why(feature: $feature) { access { allowed reason until } steps { about rule finding holds } }
    features { feature access { allowed reason } } auditLog { nodes { action by } } } } }"""


@pytest.fixture(scope="module")
def shop(new_sqlite):
    with make_world(new_sqlite(), **CONSOLE) as made:
        yield made


def code(answer) -> str:
    return answer.json()["errors"][0]["extensions"]["code"]


def act(world, name: str, headers=ANN, kind: str = "", fields: str = "count", **wanted):
    named = f"operator{name}"
    query = (
        f"mutation($input: Operator{kind or name}Input!) "
        f"{{ done: {named}(input: $input) {{ {fields} userErrors {{ code field message }} }} }}"
    )
    return world.graphql(query, {"input": {"idempotencyKey": name, **wanted}}, headers)


def done(world, name: str, **wanted):
    answer = act(world, name, **wanted).json()
    assert "errors" not in answer, answer
    return answer["data"]["done"]


def act_for_nobodys_customer(world):
    """Have an operator act for a customer who is no user's, which nobody else may."""
    nobody = world.stripe("POST", "/v1/customers", email="lost@example.com", **CARD)["id"]
    world.eventually(lambda: world.rows("customer", id=nobody))
    sub, theirs = subscribe(world, nobody)["id"], subscribe(world, customer(world, "bea"))["id"]
    which = {"whom": {"customerId": nobody}, "subscriptionId": sub}

    def told(name, **more):
        wanted = {**which, "idempotencyKey": f"nobody {name}{more}", **more}
        fields = "subscription { status willCancel paused }"
        answer = act(world, f"{name}Subscription", kind=name, fields=fields, **wanted)
        return code(answer) if "errors" in answer.json() else answer.json()["data"]["done"]["subscription"]

    quote = """query($id: ID!, $sub: ID!, $price: ID!) { operator { customer(id: $id) {
        quoteChange(subscriptionId: $sub, to: { plan: { priceId: $price } }) { preview { dueNow { amount } } }
        auditLog { nodes { action by externalId } } } } }"""
    asked = {"id": nobody, "sub": sub, "price": price_id(world, "business_monthly")}
    assert world.data(quote, asked, BOB)["operator"]["customer"]["quoteChange"]["preview"]["dueNow"]["amount"] > 0
    assert told("Cancel", when="AT_PERIOD_END") == {"status": "ACTIVE", "willCancel": True, "paused": False}
    assert told("Resume") == {"status": "ACTIVE", "willCancel": False, "paused": False}
    assert told("Pause") == {"status": "ACTIVE", "willCancel": False, "paused": True}
    given = done(
        world,
        "GrantCredits",
        idempotencyKey="nobody",
        fields="entry { amount }",
        whom={"customerId": nobody},
        amount=5,
        reason="sorry",
    )
    assert given["entry"]["amount"] == 5
    refused = {
        "NOT_FOUND": (
            {"subscriptionId": theirs},
            *({"whom": {"customerId": other}} for other in ("cus_none", "acct_1/cus_1")),
            {"whom": None, "customerId": "cus_none"},
        ),
        "BAD_USER_INPUT": (
            *({"externalId": "bea"}, {"customerId": nobody}, {"whom": None}),
            {"whom": None, "externalId": "bea", "customerId": nobody},
            *({"whom": each} for each in ({}, {"externalId": None}, {"externalId": "bea", "customerId": nobody})),
        ),
    }
    for expected, inputs in refused.items():
        for wanted in inputs:
            assert told("Cancel", when="NOW", **wanted) == expected, wanted
    mine = "mutation($id: ID!) { cancelSubscription(input: { subscriptionId: $id }) { userErrors { code } } }"
    assert code(world.graphql(mine, {"id": sub}, world.token("bea"))) == "NOT_FOUND"
    for headers in (world.token("bea"), SERVICE, BOB):
        wanted = {**which, "when": "NOW", "idempotencyKey": "never"}
        answer = act(world, "CancelSubscription", headers, "Cancel", "subscription { id }", **wanted)
        assert code(answer) == "FORBIDDEN"
    assert told("Cancel", when="NOW")["status"] == "CANCELED"
    log = world.data(quote, asked, BOB)["operator"]["customer"]["auditLog"]["nodes"]
    assert [each["action"] for each in log] == [
        *("subscription.cancel", "credits.grant", "subscription.pause", "subscription.resume"),
        "subscription.cancel",
    ]
    assert {(each["by"], each["externalId"]) for each in log} == {("operator ann", None)}


@both_databases
def test_an_operator_finds_out_why_and_acts_and_all_of_it_is_kept(database_url):
    with make_world(database_url, **CONSOLE) as world:
        cus = customer(world, "ada")
        sub = subscribe(world, cus)["id"]
        ids = [cus, "ada", sub, settled(world, sub)["latest_invoice"]["id"]]
        for text in ids:
            query = "query($s: String) { operator { name role customers(search: $s) { nodes { id } } } }"
            seen = world.data(query, {"s": text}, BOB)["operator"]
            assert seen == {"name": "bob", "role": "READ", "customers": {"nodes": [{"id": cus}]}}
        page = world.data(WHY, {"id": "ada", "feature": "pdf_export"}, BOB)["operator"]["customer"]
        assert (page["listed"]["externalId"], page["subscriptions"][0]["id"]) == ("ada", sub)
        why = page["why"]
        assert (why["access"]["allowed"], why["steps"][-1]["rule"]) == (why["steps"][-1]["holds"], "The decision")
        assert {each["about"] for each in why["steps"]} == {sub, "pdf_export"}

        event = world.rows("event", object_id=sub)[0]["id"]
        world._execute("UPDATE event SET status = 'dead', last_error = 'broke' WHERE id = :id", {"id": event})
        dead = "query { operator { events(filter: { status: DEAD }) { nodes { id lastError payload } } } }"
        (found,) = world.data(dead, None, BOB)["operator"]["events"]["nodes"]
        assert (found["id"], found["lastError"]) == (event, "broke")
        assert f'"{sub}"' in found["payload"]
        assert done(world, "RetryEvents", kind="Retry")["count"] == 1
        assert done(world, "RetryEvents", kind="Retry")["count"] == 1  # the same answer, and nothing is done
        world.eventually(lambda: world.rows("event", id=event)[0]["status"] in {"applied", "stale"})

        given = done(
            world, "GrantCredits", fields="entry { amount }", whom={"externalId": "ada"}, amount=5, reason="sorry"
        )
        assert given["entry"]["amount"] == 5
        refund = done(world, "RefundInvoice", kind="Refund", fields="refunds { id }", invoiceId=ids[3])
        assert len(refund["refunds"]) == 1
        ended = {"externalId": "ada", "subscriptionId": sub, "when": "NOW"}
        fields = "subscription { status }"
        assert done(world, "CancelSubscription", kind="Cancel", fields=fields, **ended)["subscription"] == {
            "status": "CANCELED"
        }
        both = {"externalId": "ada", "customerId": cus, "kind": "Link", "fields": "customer { externalId }"}
        assert done(world, "UnlinkCustomer", **both)["customer"]["externalId"] is None
        assert world.stripe("GET", f"/v1/customers/{cus}")["metadata"] == {}
        assert customer(world, "ada") != cus  # who comes back begins with a new one
        assert done(world, "LinkCustomer", **both)["customer"]["externalId"] == "ada"
        log = world.data("{ operator { auditLog { nodes { action by status } } } }", None, BOB)["operator"]["auditLog"]
        assert [each["action"] for each in log["nodes"]] == [
            *("customer.link", "customer.unlink", "subscription.cancel", "invoice.refund", "credits.grant"),
            "events.retry",
        ]
        assert {(each["by"], each["status"]) for each in log["nodes"]} == {("operator ann", "DONE")}
        act_for_nobodys_customer(world)


def test_who_is_named_twice_is_refused_before_anything_is_done(shop):
    query = """mutation { operatorRetryEvents(input: { idempotencyKey: "twice" }) { count }
        operatorGrantCredits(input: { whom: { externalId: "ada", customerId: "cus_1" }, amount: 1, reason: "sorry",
        idempotencyKey: "twice" }) { entry { id } } }"""
    assert code(shop.graphql(query, headers=ANN)) == "GRAPHQL_VALIDATION_FAILED"
    assert shop.rows("audit_entry") == []


def test_who_may_read_changes_nothing_and_an_operator_is_nobodys_user(shop):
    assert code(act(shop, "RetryEvents", BOB, "Retry")) == "FORBIDDEN"
    for query in (
        "{ viewer { id } }",
        '{ customer(externalId: "ada") { id } }',
        '{ node(id: "in_1") { id } }',
        'mutation { expireCheckoutSession(input: { id: "cs_1" }) { userErrors { code } } }',
        'mutation { spendCredits(input: { externalId: "a", amount: 1, idempotencyKey: "k" }) { userErrors { code } } }',
    ):
        assert code(shop.graphql(query, headers=ANN)) == "FORBIDDEN", query
    assert "errors" not in shop.graphql("{ pricing { asOf } }", headers=ANN).json()


def test_for_anybody_else_the_field_is_the_same_whatever_there_is(shop):
    query = 'query { operator { customer(id: "%s") { listed { id } } } }'
    cus = shop.stripe("POST", "/v1/customers", email="eve@example.com")["id"]
    shop.eventually(lambda: shop.rows("customer", id=cus))
    for headers, expected in ((None, "UNAUTHENTICATED"), (shop.token("eve"), "FORBIDDEN"), (SERVICE, "FORBIDDEN")):
        answers = [shop.graphql(query % named, headers=headers) for named in (cus, "cus_nobody")]
        assert [code(each) for each in answers] == [expected] * 2
        assert answers[0].json() == answers[1].json()
    assert shop.data(query % cus, None, BOB)["operator"]["customer"]["listed"]["id"] == cus


def test_guessing_tokens_is_stopped_and_locks_out_no_operator(new_sqlite):
    with make_world(new_sqlite(), **CONSOLE, rate_limit_requests="off") as world:
        wrong = {"Authorization": f"Bearer op_{'c' * 40}"}
        query = "{ a: operator { name } b: operator { name } }"  # aliases are no more guesses: a token is proved once
        answers = [world.graphql(query, headers=wrong).status_code for _ in range(12)]
        assert answers == [401] * 10 + [429] * 2
        locked = world.graphql(query, headers=wrong)
        assert (locked.status_code, code(locked)) == (429, "RATE_LIMITED")
        assert 0 < int(locked.headers["retry-after"]) <= 3600
        assert world.data(query, None, ANN) == {"a": {"name": "ann"}, "b": {"name": "ann"}}
        assert "errors" not in world.graphql("{ viewer { id } }", headers=world.token("ada")).json()


def test_the_payload_of_what_the_gateway_does_not_apply_is_for_those_who_may_act(shop):
    """An event of a portal's session has the link that signs in as its customer."""
    link = "https://billing.stripe.com/p/session/live"
    before = {"url": "https://billing.stripe.com/p/session/old"}
    kind = "billing_portal.session.created"
    event = shop.event(kind, {"id": "bps_1", "object": "billing_portal.session", "url": link})
    event["data"]["previous_attributes"] = before
    assert shop.deliver(event).status_code == 200
    query = "query($id: ID!) { operator { event(id: $id) { type payload changes { before } } } }"
    seen = shop.data(query, {"id": event["id"]}, BOB)["operator"]["event"]
    assert seen == {"type": kind, "payload": None, "changes": []}
    seen = shop.data(query, {"id": event["id"]}, ANN)["operator"]["event"]
    assert link in seen["payload"]
    assert len(seen["changes"]) == 1
    listed = "{ operator { events(first: 100) { nodes { payload changes { before after } } } } }"
    assert "p/session" not in shop.graphql(listed, headers=BOB).text


def test_while_the_console_is_off_its_tokens_open_nothing(new_sqlite):
    with make_world(new_sqlite(), operator_tokens=CONSOLE["operator_tokens"], fill=False) as world:
        assert world.graphql("{ operator { name } }", headers=ANN).status_code == 401
        assert code(world.graphql("{ operator { name } }")) == "UNAUTHENTICATED"


def test_one_who_cannot_be_reckoned_keeps_nobody_else_waiting(shop):
    figures = """query { operator { figures(firstMonth: "2026-01", lastMonth: "2035-12") {
        waiting byCurrency { paid { amount } } } } }"""
    broken, whole = (customer(shop, name) for name in ("broken", "whole"))
    for each in (broken, whole):
        subscribe(shop, each)
    shop.eventually(lambda: shop.data(figures, None, BOB)["operator"]["figures"]["waiting"], 0)
    shop._execute("UPDATE invoice SET lines = '[5]' WHERE customer_id = :id", {"id": broken})
    shop._execute("UPDATE customer_figures SET parts = '[]', due = true")
    shop._execute("DELETE FROM figure")
    shop.eventually(lambda: shop.data(figures, None, BOB)["operator"]["figures"]["waiting"], 0)
    rows = {row["customer_id"]: row["revisions"] for row in shop.rows("customer_figures")}
    assert rows[broken] == -1
    assert rows[whole] > 0
    paid = shop.data(figures, None, BOB)["operator"]["figures"]["byCurrency"]
    assert sum(each["paid"]["amount"] for each in paid) == 900


def test_the_queues_and_the_lists_have_pages(shop):
    checks = shop.data("{ operator { health { checks { name status finding } } } }", None, BOB)["operator"]["health"]
    assert {"database": "ok", "Stripe": "ok"}.items() <= {
        each["name"]: each["status"] for each in checks["checks"]
    }.items()
    query = """query($after: String) { operator { health { queues { name pending dead lateSeconds } secrets { label
        lastUsedAt } } events(first: 2, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } } }"""
    made = {shop.stripe("POST", "/v1/customers", email=f"{name}@example.com")["id"] for name in "xyz"}
    shop.eventually(lambda: made <= {row["object_id"] for row in shop.rows("event")})
    known, seen, after = {row["id"] for row in shop.rows("event")}, [], None
    while True:
        found = shop.data(query, {"after": after}, BOB)["operator"]
        seen += [each["id"] for each in found["events"]["nodes"]]
        after = found["events"]["pageInfo"]["endCursor"]
        if not found["events"]["pageInfo"]["hasNextPage"]:
            break
    assert known <= set(seen)  # more may have come meanwhile, before the first page
    assert len(seen) == len(set(seen))
    assert {each["name"] for each in found["health"]["queues"]} == {"inbox", "usage", "outbox", "access"}
    assert code(shop.graphql(query, {"after": "nonsense"}, BOB)) == "BAD_USER_INPUT"
