"""Who may open a checkout of what, on a database, asked of a Stripe that answers what a test has written down."""

import asyncio
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from gateway.auth.principal import ANONYMOUS, SERVICE, Principal
from gateway.billing.catalog.service import Catalog
from gateway.billing.checkout.request import CheckoutRequest, Line
from gateway.billing.checkout.service import Checkout, owns
from gateway.billing.customers.service import Customers
from gateway.billing.subscriptions.exclusion import owner_lock
from gateway.billing.user_errors import Rejected
from gateway.db.tables import table_for
from gateway.errors import Forbidden, NotFound, Unauthenticated
from gateway.models.checkout import CustomerClaim
from gateway.models.mirrored import CheckoutSession, Customer
from gateway.settings import Settings
from harness.rejected import codes
from harness.rows import customer, item, price, product, subscription

ADA = Principal(subject="ada", email="ada@example.com", email_verified=True)
PATH, URL = "/v1/checkout/sessions", "https://shop.example/thanks"
NOW = datetime.now(UTC).replace(microsecond=0)


def at_stripe(id: str = "cs_test_1", **columns) -> dict:
    given = {"object": "checkout.session", "customer": None, "mode": "subscription", "ui_mode": "hosted_page"}
    given |= {"status": "open", "payment_status": "unpaid", "created": int(NOW.timestamp())}
    return {"id": id, **given, "expires_at": int(NOW.timestamp()) + 86_400, **columns}


def row(id: str = "cs_test_1", **columns) -> CheckoutSession:
    given = {"mode": "subscription", "ui_mode": "hosted_page", "status": "open", "payment_status": "unpaid"}
    return CheckoutSession(id=id, **{**given, "as_of": 0, "created": NOW, "expires_at": NOW, **columns})


def ask(*prices: str, **asked) -> CheckoutRequest:
    return CheckoutRequest(tuple(map(Line, prices)), **{"success_url": URL, **asked})


@pytest.fixture
async def checkout(database, mirror, stripe, fill, scripted):
    """Ada is a customer; makes the service."""
    await fill(product("pro"), price("month", "pro", trial_period_days=14), price("pack", "pro", 500, interval=None))
    await fill(product("disks", meta={"group": "disks"}), price("disk", "disks", 300))
    await fill(customer(external_id="ada", meta={"external_id": "ada"}, email="ada@example.com"))
    scripted.list("/v1/subscriptions", [])
    scripted.answer("POST", PATH, at_stripe())
    scripted.answer("GET", f"{PATH}/cs_test_1", at_stripe())

    def make(**settings) -> Checkout:
        given = {"stripe_secret_key": "sk_test_tests", "stripe_api_base": scripted.url, **settings}
        chosen = Settings.load(redirect_origins="https://shop.example", **given)
        return Checkout(chosen, mirror, stripe, Catalog(chosen, database), Customers(chosen, mirror, stripe))

    return make


def written(scripted) -> list[tuple[str, str, dict]]:
    return [call for call in scripted.calls if call[0] != "GET"]


KEY = "k" * 16
TRIAL = "subscription_data[trial_period_days]"


async def test_a_user_opens_a_checkout_of_his_own(checkout, scripted):
    made = await checkout().create(ADA, ask("month"))
    ((method, path, sent),) = written(scripted)
    whose = {"customer": "cus_1", "client_reference_id": "ada", TRIAL: "14"}
    assert (method, path) == ("POST", PATH)
    assert whose.items() <= sent.items()
    assert "customer_email" not in sent
    assert (made.id, made.external_id, made.guest) == ("cs_test_1", "ada", False)
    assert ("GET", "/v1/subscriptions", {"customer": "cus_1", "status": "all", "limit": "100"}) in scripted.calls


@pytest.mark.parametrize(
    ("email", "asked", "filled"),
    [
        (None, None, None),
        (None, "eve@example.com", "eve@example.com"),
        ("a@x.example", "eve@example.com", "a@x.example"),
    ],
)
async def test_a_guest_opens_one_of_nobodys(checkout, scripted, email, asked, filled):
    guest = Principal(email=email)
    made = await checkout().create(guest, ask("month", customer_email=asked))
    ((_, _, sent),) = written(scripted)
    assert (sent.get("customer_email"), sent.get("customer"), sent[TRIAL]) == (filled, None, "14")
    assert (made.external_id, made.guest) == (None, True)


async def test_the_back_end_opens_one_for_a_user_or_for_a_guest(checkout, scripted):
    made = await checkout().create(SERVICE, ask("month", external_id="ada"))
    assert (made.external_id, written(scripted)[0][2]["customer"]) == ("ada", "cus_1")
    scripted.calls.clear()
    scripted.forget("POST", PATH)
    scripted.answer("POST", PATH, at_stripe("cs_test_2"))
    made = await checkout().create(SERVICE, ask("pack", coupon="half"))
    assert (made.guest, written(scripted)[0][2]["discounts[0][coupon]"]) == (True, "half")


REFUSED = {
    "another for a user": (ADA, {"external_id": "bob"}, Forbidden),
    "a user's coupon": (ADA, {"coupon": "half"}, Forbidden),
    "a guest's coupon": (ANONYMOUS, {"coupon": "half"}, Forbidden),
    "a guest's set-up": (ANONYMOUS, {"setup": True}, Unauthenticated),
    "the back end's set-up for nobody": (SERVICE, {"setup": True}, Unauthenticated),
}


@pytest.mark.parametrize(("who", "asked", "error"), REFUSED.values(), ids=REFUSED)
async def test_who_may_not(checkout, scripted, who, asked, error):
    with pytest.raises(error):
        await checkout().create(who, ask("month", **asked))
    assert scripted.calls == []


async def test_everything_wrong_is_told_before_stripe_is_asked(checkout, scripted):
    wrong = checkout(max_quantity=2).create(
        ANONYMOUS, CheckoutRequest((Line("month", quantity=3),), customer_email="x")
    )
    assert await codes(wrong) == [
        ("QUANTITY_INVALID", "lineItems.0.quantity"),
        ("URL_REQUIRED", "successUrl"),
        ("EMAIL_INVALID", "customerEmail"),
    ]
    weak = await codes(checkout().create(ANONYMOUS, ask("month", idempotency_key="k")))
    assert weak == [("IDEMPOTENCY_KEY_INVALID", "idempotencyKey")]
    assert scripted.calls == []


async def test_a_key_gives_one_session_to_one_user(checkout, scripted, fill):
    every = checkout()
    first = await every.create(ADA, ask("month", idempotency_key=KEY))
    again = await every.create(ADA, ask("month", idempotency_key=KEY))
    assert (first.id, again.id, len(written(scripted))) == ("cs_test_1", "cs_test_1", 1)
    other = every.create(ADA, ask("pack", idempotency_key=KEY))
    assert await codes(other) == [("IDEMPOTENCY_KEY_REUSED", "idempotencyKey")]
    await fill(customer("cus_2", "bob", meta={"external_id": "bob"}))
    scripted.forget("POST", PATH)
    for number, who in ((2, Principal(subject="bob")), (3, SERVICE)):
        scripted.forget("POST", PATH)
        scripted.answer("POST", PATH, at_stripe(f"cs_test_{number}"))
        assert (await every.create(who, ask("pack", idempotency_key=KEY))).id == f"cs_test_{number}"


@pytest.mark.parametrize(("key", "opened"), [(KEY, 1), (None, 2)])
async def test_two_guests_at_once_share_a_session_where_they_give_one_key(checkout, scripted, key, opened):
    scripted.answer("POST", PATH, at_stripe("cs_test_2"))
    asked = (checkout().create(ANONYMOUS, ask("pack", idempotency_key=key)) for _ in range(2))
    made = await asyncio.gather(*asked)
    assert (len({each.id for each in made}), len(written(scripted))) == (opened, opened)


async def test_what_excludes_a_plan_is_told_and_a_pack_asks_nobody(checkout, scripted, fill):
    await fill(subscription("sub_1"), item("si_1", "month", "pro"))
    assert await codes(checkout().create(ADA, ask("month"))) == [("ALREADY_SUBSCRIBED", "lineItems.0")]
    assert written(scripted) == []
    await checkout().create(ADA, ask("disk"))
    scripted.calls.clear()
    scripted.forget("POST", PATH)
    scripted.answer("POST", PATH, at_stripe("cs_test_2", mode="payment"))
    scripted.answer("POST", f"{PATH}/cs_test_1/expire", at_stripe(status="expired"))
    scripted.forget("GET", f"{PATH}/cs_test_1")
    scripted.answer("GET", f"{PATH}/cs_test_1", at_stripe(status="expired"))
    await checkout().create(ADA, ask("pack"))
    assert [call[1] for call in scripted.calls if call[1] == "/v1/subscriptions"] == []
    assert sorted(call[1] for call in written(scripted)) == [PATH, f"{PATH}/cs_test_1/expire"]
    several = checkout(allow_multiple_subscriptions=True)
    scripted.answer("POST", f"{PATH}/cs_test_2/expire", at_stripe("cs_test_2", status="expired"))
    scripted.answer("GET", f"{PATH}/cs_test_2", at_stripe("cs_test_2", status="expired"))
    scripted.forget("POST", PATH)
    scripted.answer("POST", PATH, at_stripe("cs_test_3"))
    assert (await several.create(ADA, ask("month"))).id == "cs_test_3"


async def test_open_sessions_are_listed_before_the_subscriptions_are_read(checkout, scripted, fill, database):
    """Whatever is paid in between is found in either."""
    await fill(row("cs_test_0", external_id="ada"))
    paid = sa.update(table_for(CheckoutSession)).values(status="complete")
    loop = asyncio.get_running_loop()

    def pay() -> None:
        paying = database.transaction(lambda connection: connection.execute(paid).rowcount)
        asyncio.run_coroutine_threadsafe(paying, loop).result()

    scripted.meanwhile["GET", "/v1/subscriptions"] = pay
    scripted.refuse("POST", f"{PATH}/cs_test_0/expire", "no")
    scripted.answer("GET", f"{PATH}/cs_test_0", at_stripe("cs_test_0", status="complete", payment_status="paid"))
    scripted.answer("POST", f"{PATH}/cs_test_1/expire", at_stripe(status="expired"))
    with pytest.raises(Rejected) as raised:
        await checkout().create(ADA, ask("month"))
    assert raised.value.problems[0].code.name == "EARLIER_SESSION_PAID"
    assert raised.value.current.id == "cs_test_0"
    asked = [call[1] for call in scripted.calls]
    assert {"/v1/subscriptions", f"{PATH}/cs_test_0/expire", PATH} == set(asked[:3]), "all at once"
    assert f"{PATH}/cs_test_1/expire" in asked[3:], "what was opened meanwhile is closed"


async def test_what_stripe_alone_knows_excludes_too_and_closes_what_was_opened_beside(checkout, scripted, fill):
    """The webhook has not told of it yet. The same key opens another session once nothing stands against it."""
    sold = {"id": "si_1", "object": "subscription_item", "price": {"id": "month", "product": "pro"}, "quantity": 1}
    sold |= {"created": int(NOW.timestamp()), "subscription": "sub_1", "discounts": [], "tax_rates": []}
    period = {"current_period_start": int(NOW.timestamp()), "current_period_end": int(NOW.timestamp()) + 86_400}
    there = {"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active", "metadata": {}}
    there |= dict.fromkeys(("cancel_at", "canceled_at", "ended_at", "trial_start", "trial_end", "pause_collection"))
    there |= {"created": int(NOW.timestamp()), "currency": "usd", "cancel_at_period_end": False, "start_date": 0}
    there |= {"latest_invoice": None, "default_payment_method": None}
    there |= {"items": {"object": "list", "data": [{**sold, **period, "metadata": {}}], "has_more": False}}
    scripted.forget("GET", "/v1/subscriptions")
    scripted.list("/v1/subscriptions", [there])
    scripted.answer("GET", "/v1/subscriptions/sub_1", there)
    scripted.answer("POST", f"{PATH}/cs_test_1/expire", at_stripe(status="expired"))
    asked = ask("month", idempotency_key=KEY)
    assert await codes(checkout().create(ADA, asked)) == [("ALREADY_SUBSCRIBED", "lineItems.0")]
    assert [call[1] for call in written(scripted)] == [PATH, f"{PATH}/cs_test_1/expire"]

    scripted.forget("GET", "/v1/subscriptions")
    scripted.list("/v1/subscriptions", [{**there, "status": "canceled", "ended_at": int(NOW.timestamp())}])
    scripted.forget("POST", PATH)
    scripted.answer("POST", PATH, at_stripe("cs_test_2"))
    assert (await checkout().create(ADA, asked)).id == "cs_test_2"
    opening = [key for key in scripted.keys if key and key.startswith("intent_")]
    assert len(set(opening)) == len(opening) == 2


async def test_a_customer_that_was_made_just_now_is_not_looked_at(checkout, scripted):
    made = {"id": "cus_9", "object": "customer", "email": None, "metadata": {"external_id": "bob"}}
    scripted.answer("POST", "/v1/customers", {**made, "created": int(NOW.timestamp())})
    await checkout().create(Principal(subject="bob"), ask("month"))
    assert [call[:2] for call in scripted.calls] == [("POST", "/v1/customers"), ("POST", PATH)]


async def test_a_checkout_takes_its_turn_with_what_its_owner_does_and_with_nobody_else(checkout, scripted, database):
    async with owner_lock(database, "ada"):
        waiting = asyncio.create_task(checkout().create(ADA, ask("pack")))
        await asyncio.sleep(0.05)
        assert (scripted.calls, waiting.done()) == ([], False)
    async with owner_lock(database, "bob"):
        assert (await waiting).id == "cs_test_1"


@pytest.mark.parametrize("strangers", [False, True])
async def test_a_plan_for_nothing_asks_for_a_card_where_the_customers_own_is_a_strangers(
    checkout, scripted, database, strangers
):
    customers = table_for(Customer)
    marked = sa.update(customers).values(payer_unverified=strangers, default_payment_method_id="pm_1")
    await database.transaction(lambda connection: connection.execute(marked).rowcount)
    scripted.list("/v1/customers/cus_1/payment_methods", [])
    await checkout(free_without_card=True).create(ADA, ask("month"))
    (sent,) = [call[2] for call in written(scripted) if call[1] == PATH]
    assert sent.get("payment_method_collection") == (None if strangers else "if_required")


OF_ADA = {"email": "ada@example.com", "email_lower": "ada@example.com"}
TRIALS = {
    "the first": (ADA, {}, [], "14"),
    "with a user's address, of another customer": (
        ADA, {}, [customer("cus_2", **OF_ADA), subscription(customer_id="cus_2", trial_start=NOW, status="canceled")],
        None,
    ),
    "a user's second": (ADA, {}, [subscription(trial_start=NOW, status="canceled")], None),
    "where the settings allow it": (
        ADA, {"allow_repeat_trials": True}, [subscription(trial_start=NOW, status="canceled")], "14",
    ),
    "with a guest's address": (
        Principal(email="Bob@example.com"), {},
        [customer("cus_2", email="bob@example.com", email_lower="bob@example.com"),
         subscription(customer_id="cus_2", trial_start=NOW, status="canceled")], None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("who", "settings", "rows", "days"), TRIALS.values(), ids=TRIALS)
async def test_there_is_one_trial(checkout, scripted, fill, who, settings, rows, days):
    claim = CustomerClaim(external_id="ada", generation=1, customer_id="cus_1", created=NOW)
    await fill(claim, *rows)
    await checkout(**settings).create(who, ask("month"))
    assert written(scripted)[0][2].get(TRIAL) == days


CODES = "/v1/promotion_codes"
PROMOTIONS = {
    "everybody's": ([{"id": "p1", "customer": None}], "p1"),
    "the user's own": ([{"id": "p1", "customer": None}, {"id": "p2", "customer": "cus_1"}], "p2"),
    "an expanded one": ([{"id": "p2", "customer": {"id": "cus_1"}}], "p2"),
    "the first": ([{"id": "p1", "customer": None}, {"id": "p3", "customer": None}], "p1"),
    "another's": ([{"id": "p3", "customer": "cus_2"}], None),
    "none": ([], None),
}


@pytest.mark.parametrize(("found", "chosen"), PROMOTIONS.values(), ids=PROMOTIONS)
async def test_which_promotion_code_is_meant(checkout, scripted, found, chosen):
    scripted.list(CODES, found)
    call = checkout().create(ADA, ask("month", promotion_code="HALF"))
    if chosen is None:
        assert await codes(call) == [("PROMOTION_CODE_INVALID", "promotionCode")]
        return
    await call
    assert ("GET", CODES, {"code": "HALF", "active": "true", "limit": "100"}) in scripted.calls
    assert written(scripted)[0][2]["discounts[0][promotion_code]"] == chosen


async def test_a_code_is_found_behind_a_hundred_of_the_same_text(checkout, scripted):
    others = [{"id": f"p{number}", "customer": f"cus_{number}"} for number in range(100)]
    scripted.list(CODES, others, [{"id": "p", "customer": None}])
    await checkout().create(ANONYMOUS, ask("month", promotion_code="HALF"))
    assert written(scripted)[0][2]["discounts[0][promotion_code]"] == "p"
    assert [asked.get("starting_after") for _, path, asked in scripted.calls if path == CODES] == [None, "p99"]


async def test_a_guest_has_no_code_of_somebodys(checkout, scripted):
    scripted.list(CODES, [{"id": "p2", "customer": "cus_1"}, {"id": "p1", "customer": None}])
    await checkout().create(ANONYMOUS, ask("month", promotion_code="HALF"))
    assert written(scripted)[0][2]["discounts[0][promotion_code]"] == "p1"


STRIPES = {
    "a promotion code": ("discounts[0][promotion_code]", None, 400, ("PROMOTION_CODE_INVALID", "promotionCode")),
    "a coupon": ("discounts[0][coupon]", None, 400, ("PROMOTION_CODE_INVALID", "coupon")),
    "a price that is gone": (
        "line_items[0][price]", "resource_missing", 404, ("PRICE_NOT_FOUND", "lineItems.0.price.id"),
    ),
    "anything of a line": (
        "line_items[1][adjustable_quantity]", None, 400, ("STRIPE_REFUSED", "lineItems.1.adjustableQuantity"),
    ),
    "nothing in particular": (None, None, 400, ("STRIPE_REFUSED", None)),
    "something that is gone": (None, "resource_missing", 404, ("PRICE_NOT_FOUND", None)),
}  # fmt: skip


@pytest.mark.parametrize(("param", "code", "status", "expected"), STRIPES.values(), ids=STRIPES)
async def test_what_stripe_refuses_is_told_in_the_words_of_the_input(checkout, scripted, param, code, status, expected):
    error = {"type": "invalid_request_error", "message": "Stripe's words", "code": code, "param": param}
    scripted.forget("POST", PATH)
    scripted.answer("POST", PATH, {"error": error}, status=status)
    with pytest.raises(Rejected) as raised:
        await checkout().create(ANONYMOUS, ask("month"))
    (problem,) = raised.value.problems
    assert (problem.code.name, problem.field) == expected
    assert expected[0] == "PRICE_NOT_FOUND" or problem.message == "Stripe's words"


async def test_a_customer_that_is_gone_is_made_anew_once(checkout, scripted, database):
    gone = {"type": "invalid_request_error", "code": "resource_missing", "message": "no", "param": "customer"}
    scripted.forget("GET", "/v1/subscriptions")
    scripted.answer("GET", "/v1/subscriptions", {"error": gone}, status=404)
    scripted.list("/v1/subscriptions", [])
    scripted.forget("POST", PATH)
    scripted.answer("POST", PATH, {"error": gone}, status=404)
    scripted.answer("POST", PATH, at_stripe())
    scripted.refuse("GET", "/v1/customers/cus_1", "resource_missing", status=404)
    scripted.list("/v1/customers", [])
    made = {"id": "cus_9", "object": "customer", "email": "ada@example.com", "metadata": {"external_id": "ada"}}
    scripted.answer("POST", "/v1/customers", {**made, "created": int(NOW.timestamp())})
    await checkout().create(ADA, ask("month"))
    assert written(scripted)[-1][2]["customer"] == "cus_9"


@pytest.mark.parametrize("gone", [False, True])
async def test_what_is_missing_for_another_reason_is_told(checkout, scripted, gone):
    missing = {
        "type": "invalid_request_error",
        "code": "resource_missing",
        "message": "no",
        "param": "line_items[0][price]",
    }
    scripted.forget("POST", PATH)
    scripted.answer("POST", PATH, {"error": missing}, status=404)
    alive = {"id": "cus_1", "object": "customer", "email": None, "metadata": {}, "created": int(NOW.timestamp())}
    made = {**alive, "id": "cus_9", "metadata": {"external_id": "ada"}}
    scripted.answer("GET", "/v1/customers/cus_1", {**alive, "deleted": True} if gone else alive)
    scripted.list("/v1/customers", [])
    scripted.answer("POST", "/v1/customers", made)
    assert await codes(checkout().create(ADA, ask("month"))) == [("PRICE_NOT_FOUND", "lineItems.0.price.id")]
    assert len([call for call in written(scripted) if call[1] == PATH]) == (2 if gone else 1)


SETTLED = {
    "open": ({"status": "open"}, True),
    "expired": ({"status": "expired", "line_items": []}, False),
    "expired, told by an event": ({"status": "expired", "line_items": None}, True),
    "paid": ({"status": "complete", "payment_status": "paid", "line_items": []}, False),
    "free": ({"status": "complete", "payment_status": "no_payment_required", "line_items": []}, False),
    "a debit on its way": ({"status": "complete", "payment_status": "unpaid", "line_items": []}, True),
    "before its subscription": (
        {"status": "complete", "payment_status": "paid", "line_items": [], "subscription_id": "sub_9"}, True,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "asks"), SETTLED.values(), ids=SETTLED)
async def test_what_can_still_change_is_read(checkout, scripted, fill, columns, asks):
    await fill(row(**columns))
    assert (await checkout().session("cs_test_1")).id == "cs_test_1"
    assert bool(scripted.calls) is asks
    assert not asks or scripted.calls[0][:2] == ("GET", f"{PATH}/cs_test_1")


async def test_what_has_become_another_while_it_was_read_is_read_once_more(checkout, scripted, fill):
    await fill(row())
    paid = {"status": "complete", "payment_status": "paid", "subscription": "sub_9"}
    scripted.forget("GET", f"{PATH}/cs_test_1")
    scripted.answer("GET", f"{PATH}/cs_test_1", at_stripe(**paid))
    assert (await checkout().session("cs_test_1")).status == "complete"
    assert len(scripted.calls) == 2  # the first one does not say that its subscription has begun


async def test_what_is_no_session_is_none(checkout, scripted, fill):
    await fill(row("cs_test_x-y"))
    for id_ in ("cs_test_2", "cs_test_x-y", "cs_prod_1", "cs_test_"):
        assert await checkout().session(id_) is None
    with pytest.raises(NotFound, match="no such object"):
        await checkout().expire("cs_test_2")
    assert scripted.calls == []


CLOSED = {
    "an open one": ("open", at_stripe(status="expired"), None),
    "one that was paid a moment ago": ("open", at_stripe(status="complete"), "complete"),
    "a paid one": ("complete", None, "complete"),
    "an expired one": ("expired", None, "expired"),
}


@pytest.mark.parametrize(("status", "answer", "stays"), CLOSED.values(), ids=CLOSED)
async def test_an_open_session_is_closed_and_another_shown(checkout, scripted, fill, status, answer, stays):
    await fill(row(status=status))
    if answer:
        scripted.answer("POST", f"{PATH}/cs_test_1/expire", answer)
        scripted.forget("GET", f"{PATH}/cs_test_1")
        scripted.answer("GET", f"{PATH}/cs_test_1", answer)
    if stays is None:
        assert (await checkout().expire("cs_test_1")).status == "expired"
        return
    with pytest.raises(Rejected) as raised:
        await checkout().expire("cs_test_1")
    (problem,) = raised.value.problems
    assert (problem.code.name, problem.field, raised.value.current.status) == ("SESSION_NOT_OPEN", "id", stays)
    assert f"is {stays} already" in problem.message


async def test_one_that_stripe_no_longer_has_is_gone(checkout, scripted, fill):
    await fill(row("cs_test_9"))
    for method, path in (("POST", f"{PATH}/cs_test_9/expire"), ("GET", f"{PATH}/cs_test_9")):
        scripted.refuse(method, path, "resource_missing", status=404)
    with pytest.raises(Rejected, match="is gone already"):
        await checkout().expire("cs_test_9")


@pytest.mark.parametrize(
    ("who", "mine", "nobodys"),
    [(ADA, True, False), (Principal(subject="bob"), False, False), (ANONYMOUS, False, False), (SERVICE, True, True)],
)
def test_who_may_see_what_is_personal(who, mine, nobodys):
    assert (owns(who, row(external_id="ada")), owns(who, row())) == (mine, nobodys)
