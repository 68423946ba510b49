"""The application's back end acts for users: everywhere a user can, once for a key, and all of it is kept."""

import pytest
from billing.credits.test_credits import credits_of

from gateway.billing.sentences import sentence_of
from gateway.billing.user_errors import ProblemCode
from harness.command import run
from harness.databases import postgres_later
from harness.gateway import SERVICE
from harness.subscriptions import customer, price_id, settled, subscribe

CHANGE = """mutation($input: %(verb)sSubscriptionInput!) { answer: %(name)sSubscription(input: $input) {
    subscription { id plan { price { lookupKey } } willCancel paused } userErrors { code field message } } }"""
LOG = """query($user: ID, $first: Int = 50, $after: String, $action: String) {
    auditLog(externalId: $user, first: $first, after: $after, action: $action) {
    nodes { action status actor externalId target input problems } pageInfo { hasNextPage endCursor } } }"""
LIST = """query($filter: CustomersFilter, $first: Int = 50, $after: String) {
    customers(first: $first, after: $after, filter: $filter) { nodes { id externalId email name
    customer { subscription { status } credits { balance } } } pageInfo { hasNextPage endCursor } } }"""


def act(world, name: str, headers=SERVICE, **wanted) -> dict:
    query = CHANGE % {"name": name, "verb": name.capitalize()}
    return world.graphql(query, {"input": wanted}, headers).json()


def log(world, **which) -> list[tuple]:
    nodes = world.data(LOG, which, SERVICE)["auditLog"]["nodes"]
    return [(each["action"], each["status"]) for each in nodes]


@postgres_later
def test_the_back_end_changes_pauses_resumes_and_cancels_for_a_user(world):
    sub = settled(world, subscribe(world, customer(world, "ada"))["id"])["id"]
    mine = {"subscriptionId": sub, "externalId": "ada", "actor": "agent 7"}
    pro = price_id(world, "pro_monthly")
    to = {"to": {"plan": {"priceId": pro}}}
    preview = """query($s: ID!, $to: SubscriptionChangeInput!) { customer(externalId: "ada") {
        quoteChange(subscriptionId: $s, to: $to) { preview { dueNow { amount } prorationDate } } } }"""
    quote = world.data(preview, {"s": sub, **to}, SERVICE)["customer"]["quoteChange"]["preview"]
    wanted = {**mine, **to, "prorationDate": quote["prorationDate"], "idempotencyKey": "change"}
    changed = act(world, "change", **wanted)["data"]["answer"]
    assert changed["subscription"]["plan"]["price"]["lookupKey"] == "pro_monthly"
    assert act(world, "change", **wanted)["data"]["answer"] == changed
    other = {"to": {"items": [{"set": {"priceId": price_id(world, "business_monthly")}}]}}
    (error,) = act(world, "change", **wanted | other)["data"]["answer"]["userErrors"]
    assert error["code"] == "IDEMPOTENCY_KEY_REUSED"

    for verb, seen in (("pause", "paused"), ("resume", "paused"), ("cancel", "willCancel"), ("resume", "willCancel")):
        answer = act(world, verb, **mine, idempotencyKey=f"{verb} {seen}")["data"]["answer"]
        assert answer["subscription"][seen] is (verb != "resume")
    assert (
        act(world, "cancel", **mine, idempotencyKey="cancel willCancel")["data"]["answer"]["subscription"]["willCancel"]
        is False
    )  # it was done before, and has been undone since
    names = ["subscription.resume", "subscription.cancel", "subscription.resume", "subscription.pause"]
    assert log(world, user="ada") == [(name, "DONE") for name in (*names, "subscription.change")]


def test_nobody_else_names_a_user_and_the_back_end_names_the_right_one(shop):
    sub = settled(shop, subscribe(shop, customer(shop, "bob"))["id"])["id"]
    eve, wanted = shop.token("eve"), {"subscriptionId": sub, "externalId": "bob"}

    def code(answer: dict) -> str:
        return answer["errors"][0]["extensions"]["code"]

    assert code(act(shop, "cancel", eve, **wanted)) == "NOT_FOUND"  # a subscription of somebody else, first of all
    mine = settled(shop, subscribe(shop, customer(shop, "eve"))["id"])["id"]
    assert code(act(shop, "cancel", eve, subscriptionId=mine, externalId="bob")) == "FORBIDDEN"
    assert code(act(shop, "cancel", None, **wanted)) == "UNAUTHENTICATED"
    assert code(act(shop, "cancel", subscriptionId=sub)) == "BAD_USER_INPUT"  # which user?
    assert code(act(shop, "cancel", subscriptionId=sub, externalId="eve")) == "NOT_FOUND"
    assert log(shop, user="bob") == []
    assert log(shop, user="eve") == [("subscription.cancel", "REFUSED")]
    for query in ("{ customers { nodes { id } } }", "{ auditLog { nodes { id } } }"):
        assert code(shop.graphql(query, headers=eve).json()) == "FORBIDDEN"


def test_what_a_buyer_must_fix_is_said_in_his_language(shop):
    query = """mutation { createCheckoutSession(input: { lineItems: [{ lookupKey: "nothing" }],
        successUrl: "https://shop.example" }) { userErrors { code en: text de: text(locale: "de-CH") } } }"""
    (error,) = shop.data(query)["createCheckoutSession"]["userErrors"]
    assert error == {
        "code": "PRICE_NOT_FOUND",
        "en": "We could not find this offer. Please reload the page and choose again.",
        "de": sentence_of(ProblemCode.PRICE_NOT_FOUND, "de"),
    }


def test_customers_are_listed_in_pages_and_by_what_is_known_of_them(shop):
    ada = customer(shop, "list-ada", email="List.Ada@example.com", name="Ada")
    settled(shop, subscribe(shop, ada)["id"])
    free = shop.stripe("POST", "/v1/customers", email="nobody@example.com")["id"]
    shop.eventually(lambda: shop.rows("customer", id=free))

    def listed(**asked) -> list[dict]:
        return shop.data(LIST, asked, SERVICE)["customers"]["nodes"]

    (found,) = listed(filter={"email": "list.ada@EXAMPLE.com", "subscriptionStatus": "ACTIVE", "linked": True})
    assert found == {
        "id": ada,
        "externalId": "list-ada",
        "email": "List.Ada@example.com",
        "name": "Ada",
        "customer": {"subscription": {"status": "ACTIVE"}, "credits": {"balance": 0}},
    }
    assert [(each["id"], each["customer"]) for each in listed(filter={"linked": False})] == [(free, None)]
    assert listed(filter={"email": "list.ada@example.com", "subscriptionStatus": "CANCELED"}) == []
    assert listed(filter={"delinquent": True}) == []

    everyone, pages, after = [each["id"] for each in listed()], [], None
    while True:
        page = shop.data(LIST, {"first": 2, "after": after}, SERVICE)["customers"]
        pages += [each["id"] for each in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert pages == everyone
    assert len(set(pages)) == len(pages)


def test_the_back_end_sets_name_and_address_links_a_customer_and_gives_credits(shop, tmp_path):
    def run_it(mutation: str, **wanted) -> dict:
        verb = mutation[0].upper() + mutation[1:]
        fields = {"grantCredits": "entry { amount reason purchaseId } credits { balance }"}.get(
            mutation, "customer { id externalId email name }"
        )
        selected = f"{fields} userErrors {{ code }}"
        query = f"mutation($input: {verb}Input!) {{ answer: {mutation}(input: $input) {{ {selected} }} }}"
        return shop.data(query, {"input": {"idempotencyKey": f"{mutation} {wanted}", **wanted}}, SERVICE)["answer"]

    set_ = run_it("updateCustomer", externalId="new-user", email="new@example.com", name="New")["customer"]
    assert (set_["externalId"], set_["email"], set_["name"]) == ("new-user", "new@example.com", "New")
    at_stripe = shop.stripe("GET", f"/v1/customers/{set_['id']}")
    assert (at_stripe["email"], at_stripe["name"]) == ("new@example.com", "New")
    assert run_it("updateCustomer", externalId="new-user", name="")["customer"]["name"] is None
    assert run_it("updateCustomer", externalId="new-user", email="no address")["userErrors"] == [
        {"code": "EMAIL_INVALID"}
    ]
    assert run_it("updateCustomer", externalId="new-user", name="n" * 257)["userErrors"] == [{"code": "TEXT_TOO_LONG"}]

    free = shop.stripe("POST", "/v1/customers", email="linked@example.com")["id"]
    assert run_it("linkCustomer", externalId="link-user", customerId=free)["customer"]["externalId"] == "link-user"
    for bad in (free, "cus_nobody", "cus_1/../../charges"):
        assert run_it("linkCustomer", externalId="other", customerId=bad)["userErrors"] == [
            {"code": "CUSTOMER_UNAVAILABLE"}
        ]

    gift = {"externalId": "new-user", "amount": 25, "reason": "welcome"}
    for _ in range(2):
        given = run_it("grantCredits", **gift)
        assert given["entry"] == {"amount": 25, "reason": "welcome", "purchaseId": None}
        assert given["credits"] == {"balance": 25}
    assert credits_of(shop, "new-user")["balance"] == 25

    done = run("audit", "list", "--user", "new-user", "--limit", "1", cwd=tmp_path, **shop.environment())
    assert done.returncode == 0, done.stdout
    assert "service token 1  credits.grant  new-user" in done.stdout
    assert '"amount":25' in done.stdout


@pytest.mark.parametrize("first", [0, 101])
def test_pages_of_an_unheard_of_size_are_refused(shop, first):
    for query in (LIST, LOG):
        (error,) = shop.graphql(query, {"first": first}, SERVICE).json()["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
