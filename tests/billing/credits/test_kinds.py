"""Credits of several kinds: each has a balance of its own, by the rules that the credits without a name follow."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from gateway.billing.audit import Action
from gateway.billing.catalog.credit_kinds import is_kind, kinds_in
from gateway.billing.catalog.product_features import UseKind
from gateway.billing.credits import settlement
from gateway.billing.credits.gifts import Gift, check_gift, give
from gateway.billing.credits.kinds import read_kinds
from gateway.billing.credits.ledger import ACCOUNTS, ENTRIES, LOTS
from gateway.billing.credits.service import Spend, balances, spend
from gateway.billing.user_errors import Rejected
from gateway.models.credits import CreditAccount, CreditLot
from harness.databases import both_connections, both_databases
from harness.gateway import SERVICE
from harness.rows import at, charge, customer, invoice, line, price, put
from harness.till import ADA, TODAY, Till, place

DAYS = {"interval": "day", "interval_count": 30}
META = {"credits": "100", "credits_ai": "500", "credits_ai_rollover": "true", "credits_maps": "7"}


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("credits_ai", "ai"),
        ("credits_gpt_4_turbo", "gpt_4_turbo"),
        ("credits", None),
        ("credits_", None),
        ("credits_rollover", None),
        ("credits_expire_days", None),
        ("credits_ai_rollover", None),
        ("credits_ai_expire_days", None),
        ("credits_AI", None),
        ("credits_a i", None),
        ("credit_ai", None),
    ],
)
def test_what_is_a_kind(key, kind):
    assert kinds_in([{key: "1"}]) == ({kind} if kind else set())


def test_how_long_the_name_of_a_kind_may_be():
    assert (is_kind("a" * 32), is_kind("a" * 33)) == (True, False)


def moves(connection: sa.Connection) -> dict[str, list[tuple[str, int, int]]]:
    """What happened to each account."""
    found: dict[str, list[tuple[str, int, int]]] = {}
    for row in connection.execute(sa.select(ENTRIES).order_by(ENTRIES.c.id)):
        found.setdefault(row.customer_id, []).append((row.kind, row.amount, row.balance))
    return found


@both_connections
def test_each_kind_is_granted_kept_and_taken_back_by_the_same_rules(connection):
    connection.info[settlement.RENEWAL_GRACE] = timedelta(hours=2)
    plan, other = price("month", "pro", meta=META, **DAYS), price("other", "pro", meta={"credits_ai": "50"}, **DAYS)
    put(connection, plan, other, invoice("in_1", line(-3, 27, id="il_1")), charge("ch_1", invoice_id="in_1"))
    settlement.settle(connection, ["in_1"])
    settlement.settle(connection, ["in_1"])
    bought = {"cus_1": [("grant", 100, 100)], "cus_1 ai": [("grant", 500, 500)], "cus_1 maps": [("grant", 7, 7)]}
    assert moves(connection) == bought
    ends = dict(connection.execute(sa.select(LOTS.c.id, LOTS.c.expires_at)).all())
    grace = at(27) + timedelta(hours=2)
    assert ends == {"il_1": grace, "il_1 ai": None, "il_1 maps": grace}

    half = line(12, 27, -450, id="il_2", proration=True), line(12, 27, 9, id="il_3", proration=True, price="other")
    put(connection, invoice("in_2", *half, days=12))
    settlement.settle(connection, ["in_2"])
    found = moves(connection)
    assert (found["cus_1"][1:], found["cus_1 maps"][1:]) == ([("revoke", -50, 50)], [("revoke", -4, 3)])
    assert sorted(each[:2] for each in found["cus_1 ai"][1:]) == [("grant", 25), ("revoke", -250)]

    connection.execute(sa.update(type(plan).__table__).values(meta={}))  # what was granted goes back all the same
    connection.execute(sa.update(type(charge("ch_1")).__table__).values(amount_refunded=900))
    settlement.settle(connection, ["in_1"])
    assert dict(connection.execute(sa.select(ACCOUNTS.c.customer_id, ACCOUNTS.c.balance)).all()) == {
        "cus_1": 0, "cus_1 ai": 25, "cus_1 maps": 0,
    }  # fmt: skip
    assert read_kinds(connection, ["cus_1", "cus_2"]) == {"cus_1": ["ai", "maps"]}


@both_connections
def test_a_process_of_the_version_before_meets_no_lot_of_a_kind(connection):
    """It reads by the customer's id and the purchase's, as its statements say."""
    put(connection, price("month", "pro", meta={"credits_ai": "500"}, **DAYS), invoice("in_1", line(-3, 27)))
    settlement.settle(connection, ["in_1"])
    assert connection.execute(sa.select(LOTS.c.granted)).scalars().all() == [500]
    its = sa.or_(LOTS.c.customer_id == "cus_1", LOTS.c.purchase_id == "in_1")
    assert connection.execute(sa.select(LOTS).where(its)).all() == []


@pytest.fixture
async def filled(database, fill):
    def lot(id: str, kind: str, granted: int, days: int) -> CreditLot:
        given = {"purchase_id": "in_1", "granted_at": TODAY, "expires_at": TODAY + timedelta(days=days)}
        return CreditLot(id=id, customer_id=f"cus_1{kind}", granted=granted, **given)

    accounts = [CreditAccount(customer_id=f"cus_1{kind}", balance=100, clock=TODAY) for kind in ("", " ai")]
    accounts[1].owner_id = "cus_1"
    await fill(ADA, *accounts, lot("a", "", 100, 9), lot("b", " ai", 90, 8), lot("c", " ai", 10, 7))
    return database


async def balance(database, kind: str = "") -> int:
    account_id = f"cus_1{kind}"
    return (await database.read(lambda connection: balances(connection, [account_id])))[account_id]


async def refusal(database, wanted: Spend) -> str:
    with pytest.raises(Rejected) as raised:
        await spend(database, wanted)
    (problem,) = raised.value.problems
    return problem.code.name


async def test_a_kind_is_spent_in_order_of_expiry_and_a_key_spends_once_of_whichever_kind(filled):
    first = await spend(filled, Spend("ada", 30, "k", kind="ai"))
    again = await spend(filled, Spend("ada", 30, "k", kind="ai"))
    assert (first.parts, first.balance, again) == ({"c": 10, "b": 20}, 70, first)
    for kind in ("", "maps"):
        assert await refusal(filled, Spend("ada", 30, "k", kind=kind)) == "IDEMPOTENCY_KEY_REUSED"
    plain = await spend(filled, Spend("ada", 30, "plain"))
    for kind, code in (("ai", "IDEMPOTENCY_KEY_REUSED"), ("A", "CREDIT_KIND_INVALID")):
        assert await refusal(filled, Spend("ada", 30, "plain", kind=kind)) == code
    assert (plain.balance, await balance(filled), await balance(filled, " ai")) == (70, 70, 70)
    assert await refusal(filled, Spend("ada", 71, "much", kind="ai")) == "INSUFFICIENT_CREDITS"


async def test_a_feature_is_paid_by_the_kind_that_it_names(filled):
    till = Till(filled, kind=UseKind.CREDITS, name="ai", limit=None)
    assert await till.use(30) == await till.use(30) == "None+0 of None, 70 left"
    assert await till.hold(50) == "open 50/None: None+50 of None, 20 left"
    assert await refusal(filled, Spend("ada", 21, "s", kind="ai")) == "INSUFFICIENT_CREDITS"
    till.place, ai = place(kind=UseKind.CREDITS, limit=None), till.place
    assert await till.use(100, "all") == "None+0 of None, 0 left"  # what is held of another kind is not in its way
    till.place = ai
    assert await till.commit(70) == "committed 50/70: None+0 of None, 0 left"
    assert (await balance(filled), await balance(filled, " ai")) == (0, 0)


async def test_a_gift_is_of_a_kind(database, fill):
    await fill(customer(external_id="ada"))

    async def given(kind: str):
        gift = Gift(5, "sorry", kind=kind)
        action = Action("credits.grant", "service token 1", gift.input, "k", "agent 7", "ada")
        check_gift(gift, action)
        return await give(database, "cus_1", gift, action)

    assert (await given("ai")).id == (await given("ai")).id
    for kind in ("", "maps", "Ai"):
        with pytest.raises(Rejected):
            await given(kind)
    assert await balance(database, " ai") == 5


ASK = """mutation($kind: String, $key: String!) {
  grantCredits(input: {externalId: "ada", amount: 5, reason: "sorry", kind: $kind, idempotencyKey: $key}) {
    entry { creditKind } userErrors { code } }
  spendCredits(input: {externalId: "ada", amount: 2, kind: $kind, idempotencyKey: $key}) {
    entry { creditKind balance } credits { kind balance } userErrors { code } } }"""
SEE = """{ viewer { credits { kind balance } creditKinds { kind balance } none: credits(kind: "none") { balance }
  ai: credits(kind: "ai") { kind balance entries { nodes { creditKind kind } } } } }"""


@both_databases
def test_kinds_over_graphql(world):
    for kind in (None, "ai"):
        answer = world.data(ASK, {"kind": kind, "key": str(kind)}, SERVICE)
        assert answer["grantCredits"] == {"entry": {"creditKind": kind}, "userErrors": []}
        assert answer["spendCredits"] == {
            "entry": {"creditKind": kind, "balance": 3}, "credits": {"kind": kind, "balance": 3}, "userErrors": [],
        }  # fmt: skip
    seen = world.data(SEE, headers=world.token("ada"))["viewer"]
    assert seen["credits"] == {"kind": None, "balance": 3}
    entries = [{"creditKind": "ai", "kind": kind} for kind in ("SPEND", "GRANT")]
    assert seen["ai"] == {"kind": "ai", "balance": 3, "entries": {"nodes": entries}}
    assert (seen["none"], seen["creditKinds"]) == ({"balance": 0}, [{"kind": "ai", "balance": 3}])
    wrong = world.graphql('{ viewer { credits(kind: "A") { balance } } }', headers=world.token("ada")).json()
    assert wrong["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
