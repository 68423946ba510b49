"""What customers own for life: which lines bring it, and the sum of it in whatever order things are told."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from gateway.billing.credits import owned
from gateway.billing.credits.for_life import OwnedLine, of_invoice, of_session
from gateway.billing.credits.prices import CreditRule
from gateway.billing.credits.purchases import Purchase
from gateway.billing.credits.settlement import on_write
from gateway.db.database import PUBLISHED
from gateway.mirror.effects import Written
from gateway.outbound.access_watch import NO_ACCESS, WATCHES
from harness.databases import both_connections
from harness.rows import customer, put

CUSTOMERS = owned.CUSTOMERS
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIFE = {"product_id": "reports", "interval": None, "meta": {"lifetime": "True"}}
RULES = {
    "life": CreditRule({}, LIFE),
    "fee": CreditRule({"lifetime": "true"}, LIFE | {"meta": {}}),  # the product says so, which is not enough
    "plan": CreditRule({}, LIFE | {"interval": "month"}),
    "unknown": CreditRule({"lifetime": "true"}),
}


@pytest.mark.parametrize("price", ["fee", "plan", "unknown", "not_there", None])
def test_only_a_one_off_price_that_says_so_brings_something_for_life(price):
    line = {"id": "il_1", "price": price, "quantity": 1, "amount": 900}
    assert of_invoice({"lines": [line]}, RULES) == ()
    life = line | {"price": "life", "quantity": 3}
    assert of_invoice({"lines": [line, life]}, RULES) == (OwnedLine("il_1", "reports", 3),)
    assert of_invoice({"lines": [life | {"amount": -900}]}, RULES) == ()  # given back
    bought = {"line_items": [{"id": "li_1", "price": {"id": "life"}, "quantity": 2}]}
    assert of_session(bought, RULES) == (OwnedLine("li_1", "reports", 2),)
    assert of_session({"line_items": None}, RULES) == ()


def bought(id: str, *lines: OwnedLine, total: int = 900, returned: int = 0, by: str = "cus_1") -> Purchase:
    return Purchase(id, by, total, returned, NOW, (), lines)


def sum_of(connection, customer_id: str = "cus_1") -> dict:
    return connection.execute(sa.select(CUSTOMERS.c.owned).where(CUSTOMERS.c.id == customer_id)).scalar_one()


def heard(connection) -> tuple[set[str], dict[str, str]]:
    """What was published since the last time, and whose access is looked at, with what was told of it last."""
    published = set(connection.info[PUBLISHED])
    connection.info[PUBLISHED].clear()
    return published, dict(connection.execute(sa.select(WATCHES.c.customer_id, WATCHES.c.last_notified)).all())


@both_connections
def test_the_sum_follows_what_is_paid_and_what_goes_back_in_any_order(connection):
    put(connection, customer("cus_1"))
    first, second = bought("in_1", OwnedLine("il_1", "reports", 2)), bought("cs_1", OwnedLine("li_1", "reports", 1))
    for _ in range(2):  # a copy adds nothing
        owned.settle(connection, [first, second, bought("in_9")])
        assert sum_of(connection) == {"reports": 3}
    owned.settle(connection, [bought("in_1", returned=899)])
    assert sum_of(connection) == {"reports": 3}
    owned.settle(connection, [bought("in_1", returned=900)])  # also where the price says it no longer
    assert sum_of(connection) == {"reports": 1}
    owned.settle(connection, [first])  # a dispute that was won
    assert sum_of(connection) == {"reports": 3}
    owned.settle(connection, [bought("cs_2", OwnedLine("li_2", "api", 1), total=0)])  # free, and so never paid back
    assert sum_of(connection) == {"reports": 3, "api": 1}
    owned.settle(connection, [bought("cs_3", OwnedLine("li_3", "api", 1), total=1, returned=1)])
    assert sum_of(connection) == {"reports": 3, "api": 1}
    put(connection, customer("cus_2"))
    owned.settle(connection, [bought("in_2", OwnedLine("il_2", "api", 5), by="cus_2")])
    assert (sum_of(connection)["api"], sum_of(connection, "cus_2")) == (1, {"api": 5})


@both_connections
def test_a_purchase_that_is_told_before_its_customer_counts_once_he_is_there(connection):
    owned.settle(connection, [bought("in_1", OwnedLine("il_1", "reports", 2))])
    assert heard(connection) == (set(), {})
    put(connection, customer("cus_1"))
    on_write(connection, [Written("customer", "cus_1", {}, created=False), Written("product", "cus_1", {}, True)])
    assert sum_of(connection) == {}
    on_write(connection, [Written("customer", name, {}, created=True) for name in ("cus_1", "cus_2")])
    assert (sum_of(connection), heard(connection)) == ({"reports": 2}, ({"customer:cus_1"}, {"cus_1": NO_ACCESS}))
    owned.settle(connection, [bought("in_1", OwnedLine("il_1", "reports", 2))])
    assert heard(connection)[0] == set(), "nothing new"
