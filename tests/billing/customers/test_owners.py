"""Whose customers are: by their metadata, a checkout's reference, or the e-mail. On tables in memory."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from gateway.billing.customers import linking, owners
from gateway.billing.customers.linking import Candidate, Proof
from gateway.db.database import PUBLISHED
from gateway.db.tables import table_for
from gateway.mirror.effects import Written
from gateway.models.checkout import CustomerClaim
from gateway.models.mirrored import CheckoutSession, Customer
from harness.rows import NOW, at, customer, put, subscription

CUSTOMERS, CLAIMS = table_for(Customer), table_for(CustomerClaim)


def held(connection) -> dict[str, str | None]:
    return dict(connection.execute(sa.select(CUSTOMERS.c.id, CUSTOMERS.c.external_id)).all())


def claims(connection) -> list[tuple[str, int, str | None, str | None]]:
    rows = connection.execute(sa.select(CLAIMS).order_by(CLAIMS.c.external_id, CLAIMS.c.generation)).mappings().all()
    assert all(abs((row["created"] - datetime.now(UTC)).total_seconds()) < 60 for row in rows if row["created"] != NOW)
    return [(row["external_id"], row["generation"], row["customer_id"], row["email"]) for row in rows]


def claim(external_id: str, customer_id: str | None, generation: int = 1, email: str | None = None) -> CustomerClaim:
    return CustomerClaim(
        external_id=external_id, generation=generation, customer_id=customer_id, email=email, created=NOW
    )


# --- By metadata --------------------------------------------------------------------------------------------------


def written(connection, *named: tuple[str, object], kind: str = "customer") -> set[str]:
    """Tell that customers with such an `external_id` in their metadata were written; the topics."""
    rows = [
        Written(kind, name, {"meta": {} if owner is None else {"external_id": owner}}, True) for name, owner in named
    ]
    owners.on_write(connection, rows)
    return connection.info[PUBLISHED]


def test_a_customer_is_the_users_whom_its_metadata_name(connection):
    put(connection, customer(), customer("cus_2"), customer("cus_3"))
    assert written(connection, ("cus_1", "ada"), ("cus_2", None), ("cus_3", "bob")) == {"user:ada", "user:bob"}
    assert held(connection) == {"cus_1": "ada", "cus_2": None, "cus_3": "bob"}
    assert claims(connection) == [("ada", 1, "cus_1", None), ("bob", 1, "cus_3", None)]


@pytest.mark.parametrize("owner", [None, "", 7, ["ada"]])
def test_what_is_no_name_names_nobody(connection, owner):
    put(connection, customer())
    assert written(connection, ("cus_1", owner)) == set()
    assert (held(connection), claims(connection)) == ({"cus_1": None}, [])


def test_of_another_kind_nothing_is_read(connection):
    put(connection, customer())
    assert written(connection, ("cus_1", "ada"), kind="product") == set()
    assert held(connection) == {"cus_1": None}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([customer(external_id="eve")], {"cus_1": "eve"}),  # somebody else's already
        ([customer(deleted=True)], {"cus_1": None}),
        ([customer(), customer("cus_2", "ada")], {"cus_1": None, "cus_2": "ada"}),  # the user has one
        ([customer(), customer("cus_2", "ada", deleted=True)], {"cus_1": "ada", "cus_2": None}),  # had one
        ([customer(), customer("cus_2", "bob", deleted=True)], {"cus_1": "ada", "cus_2": "bob"}),
        ([customer(), claim("ada", "cus_9")], {"cus_1": "ada"}),
    ],
)
def test_whose_it_is_already_counts(connection, rows, expected):
    put(connection, *rows)
    taken = written(connection, ("cus_1", "ada"))
    assert held(connection) == expected
    assert taken == ({"user:ada"} if expected["cus_1"] == "ada" else set())


def test_whose_a_customer_was_is_kept_of_each(connection):
    put(connection, customer("cus_9", "ada", deleted=True), customer(), claim("ada", "cus_9", generation=3))
    for _ in range(2):
        written(connection, ("cus_1", "ada"))
    assert claims(connection) == [("ada", 3, "cus_9", None), ("ada", 4, "cus_1", None)]


def test_a_claim_that_is_open_is_left_to_be_fulfilled(connection):
    opened = claim("ada", None, generation=2)
    put(connection, customer(), opened)
    written(connection, ("cus_1", "ada"))
    linking.fulfil(connection, claim=opened, customer_id="cus_1", made=True)
    assert (held(connection), claims(connection)) == ({"cus_1": "ada"}, [("ada", 2, "cus_1", None)])


def test_of_two_that_name_one_user_the_first_is_the_users(connection):
    put(connection, customer("cus_2"), customer("cus_1"))
    written(connection, ("cus_2", "ada"), ("cus_1", "ada"))
    assert held(connection) == {"cus_1": "ada", "cus_2": None}


# --- By a checkout or the e-mail ----------------------------------------------------------------------------------


def session(id: str = "cs_1", **columns) -> CheckoutSession:
    given = {"customer_id": "cus_1", "mode": "payment", "ui_mode": "hosted", "status": "complete", "as_of": 0}
    given |= {"payment_status": "paid", "created": NOW, "expires_at": NOW, "client_reference_id": "ada"}
    return CheckoutSession(id=id, **{**given, **columns})


def mail(address: str, id: str = "cus_1", **columns) -> Customer:
    return customer(id, email=address, email_lower=address.lower(), **columns)


ADA, MAILED = Proof("ada"), Proof("ada", "Ada@Example.com")
TRUSTED = Proof("ada", None, trust_payment_links=True)
REFERRED, SAME_MAIL = (
    [Candidate("cus_1", by_reference=True, is_live=False)],
    [Candidate("cus_1", by_reference=False, is_live=False)],
)
TYPED = [Candidate("cus_1", by_reference=False, is_live=False, payer_unverified=True)]
LINK = {"payment_link": "plink_1"}
GUEST = {"guest": True, "client_reference_id": None}
FOUND = {
    "nothing": ([customer()], MAILED, []),
    "by a reference": ([customer(), session()], ADA, REFERRED),
    "to somebody else": ([customer(), session(client_reference_id="eve")], ADA, []),
    "of a checkout that is not complete": ([customer(), session(status="open")], ADA, []),
    "of a payment link": ([customer(), session(**LINK)], ADA, []),
    "of one that is trusted": ([customer(), session(**LINK)], TRUSTED, REFERRED),
    "with the e-mail": (
        [customer(), session(**LINK, customer_email="ADA@example.com")],
        MAILED,
        [Candidate("cus_1", by_reference=True, is_live=False, payer_unverified=True)],
    ),
    "of a guest, who typed it": ([mail("ada@example.com"), session(**GUEST)], MAILED, TYPED),
    "of a payment link's payer, who typed it": (
        [mail("ada@example.com"), session(**LINK, client_reference_id=None)],
        MAILED,
        TYPED,
    ),
    "that is trusted": (
        [mail("ada@example.com"), session(**LINK, client_reference_id=None)],
        Proof("ada", "ada@example.com", trust_payment_links=True),
        SAME_MAIL,
    ),
    "a guest is not": (
        [mail("ada@example.com"), session(**GUEST)],
        Proof("ada", "ada@example.com", trust_payment_links=True),
        TYPED,
    ),
    "a guest who has not paid": ([mail("ada@example.com"), session(**GUEST, status="open")], MAILED, SAME_MAIL),
    "another guest": ([mail("ada@example.com"), session(**GUEST, customer_id="cus_2")], MAILED, SAME_MAIL),
    "with another e-mail": ([customer(), session(**LINK, customer_email="eve@example.com")], MAILED, []),
    "of our own, whatever the e-mail": ([customer(), session(customer_email="eve@example.com")], MAILED, REFERRED),
    "a trusted one, whatever the e-mail": (
        [customer(), session(**LINK, customer_email="eve@example.com")],
        Proof("ada", "ada@example.com", trust_payment_links=True),
        REFERRED,
    ),
    "by e-mail": ([mail("aDA@example.com")], MAILED, SAME_MAIL),
    "by no e-mail": ([mail("ada@example.com")], ADA, []),
    "by another": ([mail("eve@example.com")], MAILED, []),
    "by both": ([mail("ada@example.com"), session()], MAILED, REFERRED),
    "somebody's already": ([mail("ada@example.com", external_id="eve"), session()], MAILED, []),
    "deleted": ([mail("ada@example.com", deleted=True), session()], MAILED, []),
    "claimed": ([mail("ada@example.com"), claim("eve", "cus_1")], MAILED, []),
    "another is claimed": ([mail("ada@example.com"), claim("eve", "cus_2")], MAILED, SAME_MAIL),
    "whose metadata name the user": ([mail("ada@example.com", meta={"external_id": "ada"})], MAILED, SAME_MAIL),
    "whose metadata name another": ([mail("ada@example.com", meta={"external_id": "eve"})], MAILED, []),
    "alive": (
        [mail("ada@example.com"), subscription(status="past_due")],
        MAILED,
        [Candidate("cus_1", by_reference=False, is_live=True)],
    ),
    "another's life": ([mail("ada@example.com"), subscription(customer_id="cus_2")], MAILED, SAME_MAIL),
    "ended": ([mail("ada@example.com"), subscription(status="canceled")], MAILED, SAME_MAIL),
}


@pytest.mark.parametrize(("rows", "proof", "expected"), FOUND.values(), ids=FOUND)
def test_which_customers_may_be_the_users(connection, rows, proof, expected):
    put(connection, *rows)
    assert linking.candidates(connection, proof) == expected


def test_the_newest_comes_first(connection):
    for name, days in (("cus_a", -5), ("cus_b", -1), ("cus_c", -1), ("cus_d", -9)):
        put(connection, mail("ada@example.com", name, created=at(days)))
    assert [each.id for each in linking.candidates(connection, MAILED)] == ["cus_c", "cus_b", "cus_a", "cus_d"]


@pytest.mark.parametrize(
    ("rows", "had"),
    [([], False), ([claim("ada", "cus_1")], True), ([claim("ada", None)], False), ([claim("eve", "cus_1")], False)],
)
def test_whether_a_user_has_ever_had_a_customer(connection, rows, had):
    put(connection, *rows)
    assert linking.has_had_one(connection, "ada") is had


def test_a_claim_that_was_left_unfinished_is_taken_up(connection):
    put(connection, claim("ada", "cus_1", 1), claim("ada", None, 2, "ada@example.com"), claim("eve", None, 3))
    found = linking.open_claim(connection, "ada", "new@example.com")
    assert (found.generation, found.email, found.external_id) == (2, "ada@example.com", "ada")
    assert len(claims(connection)) == 3


def test_a_new_claim_follows_the_last(connection):
    found = linking.open_claim(connection, "ada", "ada@example.com")
    assert (found.external_id, found.generation, found.email, found.customer_id) == ("ada", 1, "ada@example.com", None)
    linking.fulfil(connection, claim=found, customer_id="cus_1")
    assert linking.open_claim(connection, "ada", None).generation == 2
    put(connection, claim("bob", None, 1), claim("bob", "cus_9", 2))
    assert linking.open_claim(connection, "bob", None).generation == 3
    assert [row for row in claims(connection) if row[0] == "ada"] == [
        ("ada", 1, "cus_1", "ada@example.com"), ("ada", 2, None, None),
    ]  # fmt: skip


def test_a_claim_is_fulfilled_by_one_customer(connection):
    put(connection, customer(), customer("cus_2", "ada"), customer("cus_3", "eve"))
    put(connection, claim("ada", "cus_2", 1), claim("ada", None, 2), claim("eve", "cus_3", 2))
    linking.fulfil(connection, claim=claim("ada", None, 2), customer_id="cus_1")
    assert held(connection) == {"cus_1": "ada", "cus_2": None, "cus_3": "eve"}
    assert claims(connection) == [("ada", 1, "cus_2", None), ("ada", 2, "cus_1", None), ("eve", 2, "cus_3", None)]
    assert connection.info[PUBLISHED] == {"user:ada", "customer:cus_1"}


@pytest.mark.parametrize("unverified", [True, False])
def test_whose_cards_a_customer_has_is_kept(connection, unverified):
    put(connection, customer(), claim("ada", None))
    linking.fulfil(connection, claim=claim("ada", None), customer_id="cus_1", payer_unverified=unverified)
    assert connection.execute(sa.select(CUSTOMERS.c.payer_unverified)).scalar() is unverified


def test_without_a_word_its_cards_are_the_users(connection):
    put(connection, customer(payer_unverified=True), claim("ada", None))
    linking.fulfil(connection, claim=claim("ada", None), customer_id="cus_1")
    assert connection.execute(sa.select(CUSTOMERS.c.payer_unverified)).scalar() is False


def test_a_customer_that_was_given_to_another_is_not_taken(connection):
    put(connection, customer(external_id="eve"), claim("eve", "cus_1"), claim("ada", None))
    with pytest.raises(IntegrityError):
        linking.fulfil(connection, claim=claim("ada", None), customer_id="cus_1")
