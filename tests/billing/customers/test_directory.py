"""The list of all customers: pages and filters on both databases, without a server."""

from datetime import timedelta

import pytest

from gateway.billing.customers.directory import CustomerFilter, list_customers
from gateway.db.database import Database
from gateway.db.notifications import Notifications
from gateway.errors import BadInput
from harness.databases import both_databases
from harness.rows import NOW, customer, put, subscription


@both_databases
async def test_pages_and_filters_of_all_customers(database_url):
    database = Database(database_url, endpoints=(), on_commit=Notifications())
    rows = [
        customer("cus_1", external_id="ada", email="Ada@x.example", email_lower="ada@x.example", created=NOW),
        customer("cus_2", created=NOW),  # in the same second
        customer("cus_3", delinquent=True, created=NOW + timedelta(days=1)),
        customer("cus_4", deleted=True, created=NOW),
        customer("acct_1/cus_5", created=NOW),  # a connected account's
        subscription("sub_1", customer_id="cus_1"),
    ]
    await database.transaction(lambda connection: put(connection, *rows))

    async def listed(first: int = 50, after: str | None = None, **wanted) -> list[str]:
        page = await list_customers(database, CustomerFilter(**wanted), first, after)
        return [row.id for row in page.rows]

    assert await listed() == ["cus_3", "cus_2", "cus_1"]
    assert (
        await listed(email="ADA@x.example") == await listed(linked=True) == await listed(status="active") == ["cus_1"]
    )
    assert await listed(linked=False, delinquent=False) == ["cus_2"]
    assert await listed(delinquent=True) == ["cus_3"]
    assert await listed(status="canceled") == await listed(email="nobody@x.example") == []
    seen, after = [], None
    while page := await list_customers(database, CustomerFilter(), 1, after):
        seen += [row.id for row in page.rows]
        after = page.cursor_of(page.rows[-1])
        if not page.has_next:
            break
    assert seen == ["cus_3", "cus_2", "cus_1"]
    for bad in ("cus_1", "bm90aGluZw==", "OTk5OTk5OTk5OTk5OTk5OSBjdXNfMQ=="):
        with pytest.raises(BadInput):
            await listed(after=bad)
    await database.close()
