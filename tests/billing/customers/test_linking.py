"""Whose an existing customer is: the rule as a table, and what people and organisations see of it."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from gateway.billing.customers import linking
from gateway.billing.customers.linking import Ambiguous, Candidate, choose
from gateway.db.database import PUBLISHED
from gateway.models.checkout import CustomerClaim
from harness.checkout import BACK, ask, at_stripe, buy, codes, look, opened, pay
from harness.command import run
from harness.databases import both_databases
from harness.gateway import SERVICE, make_world
from harness.rows import NOW, at, customer, put, subscription
from harness.subscriptions import price_id

ADA = {"email": "ada@example.com", "email_verified": True}
VIEWER = "{ viewer { customer { id } subscription { id status } } }"
PORTAL = """mutation($input: CreatePortalSessionInput!) { createPortalSession(input: $input) {
    url userErrors { code } } }"""
SESSION = "query($id: ID!) { session(id: $id) { id } }"


def referred(id: str, *, live: bool = False) -> Candidate:
    return Candidate(id, by_reference=True, is_live=live)


def mailed(id: str, *, live: bool = False) -> Candidate:
    return Candidate(id, by_reference=False, is_live=live)


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        ([], None),
        ([mailed("a")], "a"),
        ([mailed("a", live=True)], "a"),
        ([mailed("a"), mailed("b")], None),
        ([mailed("a"), mailed("b", live=True)], "b"),
        ([mailed("a", live=True), mailed("b"), mailed("c")], "a"),
        ([referred("a")], "a"),
        ([referred("a"), mailed("b")], "a"),
        ([referred("a"), mailed("b", live=True)], "a"),
        ([referred("a"), referred("b", live=True)], "b"),
        ([referred("a"), referred("b"), mailed("c", live=True)], "c"),
        ([referred("a"), referred("b")], None),
    ],
)
def test_which_customer_is_the_users(candidates, chosen):
    assert choose(candidates) == chosen


@pytest.mark.parametrize(
    "candidates",
    [
        [mailed("a", live=True), mailed("b", live=True)],
        [referred("a", live=True), referred("b", live=True)],
        [mailed("a", live=True), mailed("b"), mailed("c", live=True)],
    ],
)
def test_of_several_with_a_subscription_nobody_guesses(candidates):
    with pytest.raises(Ambiguous):
        choose(candidates)


def claim(user: str, number: int, customer_id: str | None = None, **columns) -> CustomerClaim:
    return CustomerClaim(external_id=user, generation=number, customer_id=customer_id, created=NOW, **columns)


def claims(connection) -> dict[tuple[str, int], tuple[str | None, bool]]:
    rows = connection.execute(sa.select(linking.CLAIMS))
    return {(row.external_id, row.generation): (row.customer_id, row.making) for row in rows}


def test_a_claim_goes_on_where_it_was_left_and_says_that_stripe_is_asked(connection):
    put(connection, claim("ada", 1, "cus_0"), claim("ada", 2, email="a@x.example"), claim("bob", 1))
    before = claims(connection)
    assert linking.open_claim(connection, "ada", "new@x.example").generation == 2
    assert claims(connection) == before
    mine = linking.open_claim(connection, "ada", "new@x.example", making=True)
    assert (mine.generation, mine.email) == (2, "a@x.example")
    assert claims(connection) == {("ada", 1): ("cus_0", False), ("ada", 2): (None, True), ("bob", 1): (None, False)}
    assert linking.open_claim(connection, "ada", None, making=True).generation == 2
    fresh = linking.open_claim(connection, "eve", "eve@x.example", making=True)
    assert (fresh.generation, fresh.email, claims(connection)["eve", 1]) == (1, "eve@x.example", (None, True))
    assert timedelta() <= datetime.now(UTC) - fresh.created < timedelta(minutes=1)


def test_a_claim_of_which_nothing_is_left_asks_anew(connection):
    kept, left = claim("ada", 1, "cus_0", making=True), claim("ada", 3, making=True)
    put(connection, kept, left, claim("ada", 2, "cus_2", making=True), claim("bob", 3, making=True))
    linking.settle(connection, kept)
    linking.settle(connection, left)
    assert claims(connection) == {
        ("ada", 1): ("cus_0", False), ("ada", 2): ("cus_2", True), ("ada", 4): (None, False), ("bob", 3): (None, True),
    }  # fmt: skip


def test_which_claims_may_have_left_a_customer_behind(connection):
    """The user has another one, which was given or is in use; who has none may be given what was made."""
    begun = [
        CustomerClaim(external_id=name, generation=9, making=True, created=at(-day)) for name, day in BEGUN.items()
    ]
    put(connection, *begun, claim("given", 1, "cus_given"), subscription(customer_id="cus_used"), claim("still", 1))
    put(connection, *(customer(f"cus_{name}", name) for name in ("given", "used", "fresh", "still")))
    put(connection, customer("cus_gone", "gone", deleted=True), claim("gone", 1, "cus_gone"))
    assert [each.external_id for each in linking.unsettled(connection)] == ["used", "given"]


BEGUN = {"given": 1, "used": 2, "fresh": 3, "gone": 4, "nobody": 5}


MADE = {
    "nothing was asked for": ([], False),
    "Stripe is asked": ([claim("ada", 1, making=True)], True),
    "it was not": ([claim("ada", 1)], False),
    "it is decided": ([claim("ada", 1, "cus_1", making=True)], False),
    "it is for another": ([claim("bob", 1, making=True)], False),
}


@pytest.mark.parametrize(("given", "making"), MADE.values(), ids=MADE)
def test_whose_first_customer_is_being_made(connection, given, making):
    put(connection, *(CustomerClaim(**each.model_dump()) for each in given))
    assert linking.is_being_made(connection, "ada") is making


@pytest.mark.parametrize("made", [True, False, None])
def test_what_stripe_was_asked_to_make_is_left_until_it_is_the_one_that_was_made(connection, made):
    put(connection, customer("cus_1"), begun := claim("ada", 1, making=True))
    how = {} if made is None else {"made": made}
    linking.fulfil(connection, claim=begun, customer_id="cus_1", **how)
    assert claims(connection) == {("ada", 1): ("cus_1", not made)}


def test_so_many_are_looked_at_at_a_time(connection):
    for number in range(linking.BATCH + 1):
        mine = f"user_{number}"
        put(connection, customer(f"cus_{number}", mine), claim(mine, 1, f"cus_{number}", making=True))
    assert len(linking.unsettled(connection)) == linking.BATCH


@pytest.mark.parametrize("claimed", [True, False])
def test_what_is_taken_from_a_user_stays_claimed_and_is_told(connection, claimed):
    put(connection, customer(external_id="ada"), customer("cus_2", "bob"), claim("bob", 1, "cus_2"))
    if claimed:
        put(connection, claim("ada", 1, "cus_1"))
    linking.release(connection, external_id="ada", customer_id="cus_1")
    owners = connection.execute(sa.select(linking.CUSTOMERS.c.id, linking.CUSTOMERS.c.external_id)).all()
    assert dict(owners) == {"cus_1": None, "cus_2": "bob"}
    assert claims(connection) == {("ada", 1): ("cus_1", False), ("bob", 1): ("cus_2", False)}
    assert {"user:ada", "customer:cus_1"} <= {*connection.info[PUBLISHED]}


def viewer(world, headers) -> dict:
    return world.data(VIEWER, headers=headers)["viewer"]


def subscribed(world, **customer) -> dict:
    """A customer made at Stripe who has bought Starter there, once the mirror knows it."""
    made = world.stripe("POST", "/v1/customers", **customer)
    method = world.stripe("POST", "/v1/payment_methods/pm_card_visa/attach", customer=made["id"])
    given = {"items[0][price]": price_id(world, "starter_monthly"), "default_payment_method": method["id"]}
    bought = world.stripe("POST", "/v1/subscriptions", customer=made["id"], **given)
    world.eventually(lambda: [row["status"] for row in world.rows("subscription", id=bought["id"])], ["active"])
    return made


@both_databases
def test_who_bought_as_a_guest_and_signs_in_has_what_was_bought(world):
    guest = opened(world, None, "starter_monthly")
    pay(world, guest, email="Ada@Example.com")
    assert look(world, None, guest)["subscription"]["status"] == "ACTIVE"
    ada = world.token("user_ada", **ADA)

    seen = viewer(world, ada)  # the first thing she does, without a checkout

    assert seen["subscription"]["status"] == "ACTIVE"
    assert codes(ask(world, ada, "starter_monthly")) == ["ALREADY_SUBSCRIBED"]
    opens = world.data(PORTAL, {"input": {"returnUrl": BACK.split("?")[0]}}, ada)["createPortalSession"]
    assert (opens["userErrors"], bool(opens["url"])) == ([], True)
    (customer,) = at_stripe(world, "customers")
    assert customer["metadata"] == {"external_id": "user_ada"}
    # who knows the guest's session does not read it any more; she does
    assert world.data(SESSION, {"id": guest["id"]})["session"] is None
    assert world.data(SESSION, {"id": guest["id"]}, world.token("bob"))["session"] is None
    assert world.data(SESSION, {"id": guest["id"]}, ada)["session"] == {"id": guest["id"]}


def test_an_email_that_nobody_has_verified_brings_nothing(world):
    subscribed(world, email="ada@example.com")
    for claims in ({"email": "ada@example.com"}, {"email": "eve@example.com", "email_verified": True}):
        assert viewer(world, world.token("user_eve", **claims))["customer"] is None


def test_another_spelling_of_the_case_is_the_same_email(world):
    made = subscribed(world, email="ADA@Example.com")
    assert codes(ask(world, world.token("user_ada", **ADA), "starter_monthly")) == ["ALREADY_SUBSCRIBED"]
    assert [found["id"] for found in at_stripe(world, "customers")] == [made["id"]]


@both_databases
def test_the_metadata_that_the_seller_sets_says_whose_a_customer_is(world):
    subscribed(world, email="office@example.com", **{"metadata[external_id]": "user_ada"})
    assert viewer(world, world.token("user_ada"))["subscription"]["status"] == "ACTIVE"


def paid_by_link(world, reference: str, email: str) -> None:
    """Somebody pays by a payment link that was opened with a `client_reference_id`.

    The offline Stripe has no payment links: the mirror is told which one a session of a server has come from.
    """
    line = {"line_items[0][price]": price_id(world, "starter_monthly"), "line_items[0][quantity]": 1}
    given = {"mode": "subscription", "success_url": BACK, "client_reference_id": reference, **line}
    session = world.stripe("POST", "/v1/checkout/sessions", **given)
    pay(world, session, email=email)
    world.eventually(lambda: [row["status"] for row in world.rows("subscription")], ["active"])
    world.eventually(lambda: world.rows("event", status="pending"), [])
    world._execute("UPDATE checkout_session SET payment_link = 'plink_1'")


def test_a_reference_that_a_server_of_the_seller_gave_needs_no_email(world):
    line = {"line_items[0][price]": price_id(world, "starter_monthly"), "line_items[0][quantity]": 1}
    given = {"mode": "subscription", "success_url": BACK, "client_reference_id": "user_ada", **line}
    pay(world, world.stripe("POST", "/v1/checkout/sessions", **given), email="office@example.com")
    world.eventually(lambda: [row["status"] for row in world.rows("subscription")], ["active"])
    assert viewer(world, world.token("user_ada"))["subscription"]["status"] == "ACTIVE"
    assert viewer(world, world.token("user_bob"))["subscription"] is None


@pytest.mark.parametrize(
    ("trusted", "email", "taken"),
    [(False, "eve@example.com", False), (False, "ada@example.com", True), (True, "eve@example.com", True)],
)
def test_a_payment_links_reference_counts_with_the_email_or_where_a_setting_trusts_it(
    sqlite_url, trusted, email, taken
):
    with make_world(sqlite_url, trust_payment_link_references=trusted) as world:
        paid_by_link(world, "user_ada", email)
        assert (viewer(world, world.token("user_ada", **ADA))["subscription"] is not None) is taken


@both_databases
def test_of_several_with_one_email_the_one_with_a_subscription_is_taken(world):
    world.stripe("POST", "/v1/customers", email="ada@example.com")
    made = subscribed(world, email="ada@example.com")
    assert viewer(world, world.token("user_ada", **ADA))["customer"]["id"] == made["id"]


def test_of_several_with_a_subscription_none_is_guessed_and_the_operator_links_one(world, tmp_path):
    first, second = subscribed(world, email="ada@example.com"), subscribed(world, email="ada@example.com")
    ada = world.token("user_ada", **ADA)
    assert viewer(world, ada)["customer"] is None
    assert codes(ask(world, ada, "starter_monthly")) == ["CUSTOMER_AMBIGUOUS"]
    assert len(at_stripe(world, "customers")) == 2

    environment = {
        "STRIPE_SECRET_KEY": "sk_test_tests",
        "STRIPE_API_BASE": world.stripe_url,
        "DATABASE_URL": world.settings.database_url.get_secret_value(),
    }
    done = run("customers", "link", "user_ada", second["id"], cwd=tmp_path, **environment)

    assert done.returncode == 0, done.stdout
    assert viewer(world, ada)["customer"]["id"] == second["id"]
    refused = run("customers", "link", "user_bob", second["id"], cwd=tmp_path, **environment)
    assert refused.returncode == 1
    assert "another user's" in " ".join(refused.stdout.split())
    metadata = {found["id"]: found["metadata"] for found in at_stripe(world, "customers")}
    assert metadata == {first["id"]: {}, second["id"]: {"external_id": "user_ada"}}
    for code in (0, 1):  # again there is nothing to take
        assert run("customers", "unlink", "user_ada", second["id"], cwd=tmp_path, **environment).returncode == code
    assert world.rows("customer", id=second["id"])[0]["external_id"] is None


def test_an_organisation_takes_over_nothing_by_a_members_email(sqlite_url):
    with make_world(sqlite_url, auth_subject_claim="org") as world:
        personal = subscribed(world, email="ada@example.com")
        ada = world.token("user_ada", org="acme", **ADA)

        assert viewer(world, ada)["customer"] is None
        buy(world, ada, "credits_100")

        (row,) = world.rows("customer", external_id="acme")
        assert row["id"] != personal["id"]
        assert world.stripe("GET", f"/v1/customers/{personal['id']}")["metadata"] == {}


def test_a_verified_email_that_has_changed_is_told_to_stripe(world):
    opened(world, world.token("user_ada", **ADA), "credits_100")
    opened(world, world.token("user_ada", email="new@example.com"), "credits_500")
    (customer,) = at_stripe(world, "customers")
    assert customer["email"] == "ada@example.com"  # nobody has verified the new one

    opened(world, world.token("user_ada", email="new@example.com", email_verified=True), "credits_100")
    (customer,) = at_stripe(world, "customers")
    assert customer["email"] == "new@example.com"

    world.stripe("POST", f"/v1/customers/{customer['id']}", email="billing@example.com")
    opened(world, world.token("user_ada", email="new@example.com", email_verified=True), "credits_500")
    (customer,) = at_stripe(world, "customers")
    assert customer["email"] == "billing@example.com"  # it has not changed since it was told


def test_the_email_that_the_back_end_knows_is_told_to_stripe(world):
    opened(world, world.token("user_ada"), "credits_100")
    opened(world, SERVICE, "credits_500", externalId="user_ada", customerEmail="ada@example.com")
    (customer,) = at_stripe(world, "customers")
    assert customer["email"] == "ada@example.com"
