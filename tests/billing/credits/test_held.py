"""How many credits are held for work under way: a table on SQLite in memory."""

from datetime import timedelta

import sqlalchemy as sa

from gateway.billing.credits.held import HOLDS, account_of, held, settle_held
from gateway.models.metering import UsageHold
from harness.rows import NOW, put

SECOND = timedelta(seconds=1)


def hold(id: str, amount: int, *, of: str = "cus_1", kind: str = "", ends=SECOND, status: str = "open") -> UsageHold:
    about = {"external_id": of, "feature": "tokens", "key": id, "fingerprint": "f", "created": NOW}
    return UsageHold(
        id=id, customer_id=of, name=f"credits:{kind}", amount=amount, status=status, expires_at=NOW + ends, **about
    )


def test_what_is_held_is_open_and_has_not_lapsed(connection):
    put(connection, hold("a", 5), hold("b", 7), hold("c", 9, ends=0 * SECOND), hold("d", 3, kind="ai"))
    put(connection, hold("e", 100, status="released"), hold("f", 2, of="cus_2"), hold("g", 50, of="cus_3"))
    put(connection, hold("h", 4, of="cus_2", ends=-SECOND), hold("i", 6, of="cus_3", ends=-SECOND))
    assert held(connection, ["cus_1", "cus_1 ai", "cus_2"], NOW) == {"cus_1": 12, "cus_1 ai": 3, "cus_2": 2}
    assert held(connection, ["cus_1"], NOW) == settle_held(connection, ["cus_1"], NOW) == {"cus_1": 12}
    assert held(connection, [], NOW) == {}

    def lapsed() -> list[str]:
        query = sa.select(HOLDS.c.id).where(HOLDS.c.status == "lapsed").order_by(HOLDS.c.id)
        return list(connection.execute(query).scalars())

    assert lapsed() == ["c"]
    settle_held(connection, ["cus_2", "cus_4"], NOW)
    assert lapsed() == ["c", "h"]
    settle_held(connection, ["cus_3"], NOW)
    assert lapsed() == ["c", "h", "i"]
    put(connection, hold("j", 8, of="cus_5", ends=-SECOND))
    assert held(connection, ["cus_5"], NOW) == {"cus_5": 0}


def test_the_account_in_which_something_is_held():
    assert [account_of("cus_1", name) for name in ("credits:", "credits:ai", "counter:ai", "calls")] == [
        *("cus_1", "cus_1 ai", None, None),
    ]
