"""Credits that the back end gives: once for a key, spent like any, on both databases and without a server."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.billing.audit import Action, AuditLog
from gateway.billing.credits.gifts import Gift, check_gift, give, is_gift
from gateway.billing.credits.ledger import expire_credits
from gateway.billing.credits.service import Spend, balances, spend
from gateway.billing.user_errors import Rejected
from gateway.db.database import Database
from gateway.db.notifications import Notifications
from gateway.models.credits import CreditAccount, CreditLot
from harness.databases import both_databases
from harness.rows import customer, put

PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
async def database(database_url):
    database = Database(database_url, endpoints=(), on_commit=Notifications())
    await database.transaction(lambda connection: put(connection, customer(external_id="ada")))
    yield database
    await database.close()


async def given(
    database, key="k", amount=100, expires_at: datetime | None = None, who="ada", reason="for the outage", kind=""
):
    gift = Gift(amount, reason, expires_at, kind)
    action = Action("credits.grant", "service token 1", gift.input, key, "agent 7", who)
    check_gift(gift, action)
    return await give(database, "cus_1", gift, action)


async def balance(database) -> int:
    return (await database.read(lambda connection: balances(connection, ["cus_1"]))).get("cus_1", 0)


@both_databases
async def test_a_gift_is_given_once_for_a_key_whoever_gives_at_once(database):
    entries = await asyncio.gather(*(given(database) for _ in range(4)))
    assert len({entry.id for entry in entries}) == 1
    assert (entries[0].kind, entries[0].amount, entries[0].balance, entries[0].reason) == (
        "grant",
        100,
        100,
        "for the outage",
    )
    assert (entries[0].purchase_id, await balance(database)) == (None, 100)
    assert is_gift(entries[0].lot_id)
    for other in ({"amount": 99}, {"who": "eve"}, {"expires_at": FUTURE}):
        with pytest.raises(Rejected, match="this key was used before"):
            await given(database, **other)
    assert (await given(database, "second")).balance == 200
    page = await AuditLog(database).page(10, None)
    assert [(entry.status, entry.result) for entry in page.rows] == [
        ("done", {"entry": entries[0].id + 1}),
        ("done", {"entry": entries[0].id}),
    ]


@pytest.mark.parametrize(
    ("wish", "code", "field"),
    [
        ({"amount": 0}, "AMOUNT_INVALID", "amount"),
        ({"amount": 10**12 + 1}, "AMOUNT_INVALID", "amount"),
        ({"expires_at": PAST}, "TIMESTAMP_INVALID", "expiresAt"),
        ({"reason": "r" * 501}, "TEXT_TOO_LONG", "reason"),
        ({"kind": "AI"}, "CREDIT_KIND_INVALID", "kind"),
        ({"key": ""}, "IDEMPOTENCY_KEY_INVALID", "idempotencyKey"),
        ({"key": "k" * 256}, "IDEMPOTENCY_KEY_INVALID", "idempotencyKey"),
    ],
)
async def test_what_cannot_be_given_leaves_no_trace(database, wish, code, field):
    with pytest.raises(Rejected) as raised:
        await given(database, **wish)
    assert [(problem.code.name, problem.field) for problem in raised.value.problems] == [(code, field)]
    assert (await AuditLog(database).page(10, None)).rows == []
    assert await balance(database) == 0


async def test_the_least_and_the_most_that_is_given_are_kept_in_the_log(database):
    await given(database, "least", 1, reason="r" * 500)
    await given(database, "most", 10**12, FUTURE, kind="ai")
    most, least = (await AuditLog(database).page(10, None)).rows
    assert least.input == {"amount": 1, "reason": "r" * 500, "expires_at": None}
    expected = {"amount": 10**12, "reason": "for the outage", "expires_at": FUTURE.isoformat(), "kind": "ai"}
    assert most.input == expected


async def test_gifts_pay_a_debt_first_run_out_and_are_spent_in_this_order(database):
    await database.transaction(
        lambda connection: put(
            connection,
            CreditAccount(customer_id="cus_1", balance=-30, clock=PAST),
            CreditLot(
                id="il_1",
                customer_id="cus_1",
                purchase_id="in_1",
                granted=100,
                revoked=100,
                spent=30,
                granted_at=PAST,
            ),
        )
    )
    soon = database.clock.now() + timedelta(hours=1)
    assert (await given(database)).balance == 70
    await given(database, "soon", 50, soon)
    spent = await spend(database, Spend("ada", 60, "s"))
    assert list(spent.parts.values()) == [50, 10]
    await given(database, "late", 7, soon)
    database.clock.follow(7200)
    assert await database.transaction(expire_credits) == 1
    assert await balance(database) == 60
