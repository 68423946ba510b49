"""Whose subscription is changed, ended and read: its owner's, also while that changes."""

import asyncio

import pytest
import sqlalchemy as sa

from gateway.auth.principal import Operator, Principal, Role
from gateway.billing.subscriptions.change_request import PlanChange
from gateway.billing.subscriptions.ending import Cancellation
from gateway.db.locks import user_lock
from gateway.db.tables import table_for
from gateway.errors import Forbidden, NotFound, RateLimited
from gateway.models.mirrored import Customer
from harness.databases import waiters
from harness.rows import customer, subscription
from harness.scripted_subscription import ADA


async def test_nobody_touches_what_is_anothers(service, scripted):
    made = service()
    for its in ("sub_2", "sub_9"):
        for call in (
            made.change(ADA, its, PlanChange("year"), None),
            made.preview(ADA, its, PlanChange("year")),
            made.endings.cancel(ADA, its, Cancellation(), None),
            made.endings.resume(ADA, its, None),
        ):
            with pytest.raises(NotFound):
                await call
    assert scripted.calls == []


async def test_a_subscription_of_nobodys_is_nobodys(service, fill):
    await fill(customer("cus_3"), subscription("sub_3", customer_id="cus_3"))
    with pytest.raises(NotFound):
        await service().endings.cancel(Principal(), "sub_3", Cancellation(), None)


async def test_an_operator_acts_for_the_customer_that_is_named_and_for_no_other(service, scripted, fill, database):
    await fill(customer("cus_3"), subscription("sub_3", customer_id="cus_3"))
    await fill(customer("acct_1/cus_5"), subscription("acct_1/sub_5", customer_id="acct_1/cus_5"))
    cancel, ann = service().endings.cancel, Principal(operator=Operator("ann", Role.ACT))
    with pytest.raises(Forbidden):
        ADA.acting_for("cus_1")
    for who, its in (("cus_3", "sub_1"), ("cus_1", "sub_3"), ("acct_1/cus_5", "acct_1/sub_5"), (None, "sub_3")):
        with pytest.raises(NotFound):
            await cancel(ann.acting_for(who) if who else ann, its, Cancellation(), None)
    async with user_lock(database, "customer:cus_3"):  # it becomes a user's while an operator waits
        waits = asyncio.create_task(cancel(ann.acting_for("cus_3"), "sub_3", Cancellation(), None))
        await waiters(database, "customer:cus_3")
        given = sa.update(table_for(Customer)).where(table_for(Customer).c.id == "cus_3").values(external_id="cora")
        await database.transaction(lambda connection: connection.execute(given).rowcount)
    with pytest.raises(RateLimited):
        await waits
    assert scripted.calls == []


@pytest.mark.parametrize(("now", "code"), [(None, NotFound), ("eve", NotFound), ("ada", RateLimited)])
async def test_who_waits_while_a_customer_is_taken_from_him_changes_nothing_of_it(
    service, scripted, fill, database, now, code
):
    """Also of one that stays: whether its card is the user's was known before (`payer_unverified`)."""
    customers = table_for(Customer)
    taken = sa.update(customers).where(customers.c.id == "cus_1").values(external_id=now, payer_unverified=True)
    made = service()
    async with user_lock(database, "owner:ada"):  # as an operator holds it who links or unlinks
        asked = made.change(ADA, "sub_1", PlanChange("year"), None), made.endings.resume(ADA, "sub_1", None)
        waiting = [asyncio.create_task(each) for each in asked]
        await waiters(database, "owner:ada", 2)
        await database.transaction(lambda connection: connection.execute(taken).rowcount)
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in found] == [code] * 2
    assert scripted.calls == []


async def test_a_subscription_is_told_to_its_owner_alone_as_the_mirror_has_it(service, scripted):
    made = service()
    assert (await made.state(ADA, "sub_1")).subscription.id == "sub_1"
    for its in ("sub_2", "sub_9"):
        with pytest.raises(NotFound):
            await made.state(ADA, its)
    assert scripted.calls == []
