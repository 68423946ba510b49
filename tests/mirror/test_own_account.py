"""Whether a restricted key, which may not read its account, is of the account that the database is a copy of."""

import pytest

from gateway.db.database import Database
from gateway.db.notifications import Notifications
from gateway.errors import SettingsError
from gateway.mirror.own_account import require_same_account, whose
from gateway.mirror.reader import Reader
from gateway.settings import Settings
from gateway.stripe_api.client import Stripe
from harness.rows import at, customer, product, put
from harness.scripted_stripe import scripted_stripe

HAS = [customer("cus_1"), customer("cus_2", created=at(1)), customer("acct_1/cus_9", created=at(2)), product("pro")]
YES, NO, MAY_NOT = 200, 404, 403
CASES = {
    "the newest is there": ({"/v1/customers/cus_2": YES}, None),
    "an older one is": ({"/v1/customers/cus_2": NO, "/v1/customers/cus_1": YES}, None),
    "none is": ({"/v1/customers/cus_2": NO, "/v1/customers/cus_1": NO}, "none of cus_2, cus_1"),
    "products tell where customers may not be read": ({"/v1/customers/cus_2": MAY_NOT, "/v1/products/pro": YES}, None),
    "no product is": ({"/v1/customers/cus_2": MAY_NOT, "/v1/products/pro": NO}, "none of pro"),
    "nobody can tell": ({"/v1/customers/cus_2": MAY_NOT, "/v1/products/pro": MAY_NOT}, None),
}


@pytest.mark.parametrize(("answers", "fault"), CASES.values(), ids=CASES)
async def test_a_restricted_key_must_know_what_the_database_has(new_sqlite, answers, fault):
    database = Database(new_sqlite(), endpoints=(), on_commit=Notifications())
    with scripted_stripe() as scripted:
        stripe = Stripe(Settings.load(stripe_secret_key="rk_test_tests", stripe_api_base=scripted.url))
        await database.transaction(lambda connection: put(connection, *HAS))
        scripted.refuse("GET", "/v1/account", "permission", status=403)
        for path, status in answers.items():
            if status == YES:
                scripted.answer("GET", path, {"id": path.rpartition("/")[2]})
            else:
                scripted.refuse("GET", path, "resource_missing" if status == NO else "permission", status=status)
        if fault:
            with pytest.raises(SettingsError, match=fault):
                await require_same_account(database, Reader(stripe))
        else:
            await require_same_account(database, Reader(stripe))
        found = await whose(database, stripe)
        assert (bool(found.known), bool(found.fault)) == (YES in answers.values(), bool(fault))
        assert {path for _, path, _ in scripted.calls} == {"/v1/account", *answers}
        await stripe.close()
    await database.close()
