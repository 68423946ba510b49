"""Links of invoices that are read anew: how many, and what a failure leaves."""

import pytest
import sqlalchemy as sa

from gateway.billing.invoices import MAX_LINKS, refresh_links
from gateway.errors import DatabaseUnavailable


async def test_a_request_reads_so_many_links_and_shows_the_old_ones_where_stripe_fails(mirror, stripe, scripted):
    paths = [f"/v1/invoices/in_{number}" for number in range(MAX_LINKS + 5)]
    for path in paths:
        scripted.refuse("GET", path, "resource_missing", status=404)
    await refresh_links(mirror, stripe, [path.rpartition("/")[2] for path in paths])
    assert sorted(path for _, path, _ in scripted.calls) == sorted(paths[:MAX_LINKS])


async def test_a_database_that_is_away_is_told_as_such(mirror, stripe, scripted):
    await mirror.database.transaction(lambda connection: connection.execute(sa.text("DROP TABLE invoice")))
    with pytest.raises(DatabaseUnavailable):
        await refresh_links(mirror, stripe, ["in_1", "in_2"])
