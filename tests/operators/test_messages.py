"""The messages to the application, in pages."""

from gateway.billing.pagination import encode_cursor
from gateway.db.database import Database
from gateway.db.notifications import Notifications
from gateway.models.outbound import OutboxDelivery, OutboxMessage
from gateway.operators.messages import list_messages
from harness.databases import both_databases
from harness.rows import NOW, put

ENDPOINTS = "https://a.example/hooks", "https://b.example/hooks"
DELIVERY = {"status": "pending", "customer_id": "cus_1", "attempts": 0, "next_attempt_at": NOW}


@both_databases
async def test_each_delivery_stands_on_one_page(database_url):
    database = Database(database_url, endpoints=ENDPOINTS, on_commit=Notifications())
    moments = {9: NOW.replace(microsecond=1), 10: NOW, 11: NOW}  # two of one moment, and one after a part of a second
    rows = [
        each
        for number, moment in moments.items()
        for each in (
            OutboxMessage(
                id=number, message_id=f"msg_{number}", customer_id="cus_1", type="a.b", payload="{}", created=moment
            ),
            *(OutboxDelivery(id=number, endpoint=endpoint, **DELIVERY) for endpoint in ENDPOINTS),
        )
    ]
    await database.transaction(lambda connection: put(connection, *rows))
    seen, after, more = [], None, True
    while more:
        page = await list_messages(database, "pending", None, 1, after)
        (row,) = page.rows
        seen.append((row["number"], row["endpoint"][8]))
        after, more = page.cursor_of(row), page.has_next
    assert seen == [(number, endpoint) for number in (9, 11, 10) for endpoint in "ba"]
    forged = encode_cursor(f"{int(NOW.timestamp())} {'9' * 18} x")  # no message has such a number, nor its column
    assert [row["number"] for row in (await list_messages(database, None, None, 1, forged)).rows] == [11]
    await database.close()
