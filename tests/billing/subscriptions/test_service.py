"""Changes, ends and resumptions, asked of a Stripe that answers what a test has written down: what Stripe is told."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from gateway.auth.principal import Operator, Principal, Role
from gateway.billing.catalog.service import Catalog
from gateway.billing.metering.forwarder import UsageForwarder
from gateway.billing.subscriptions.change_request import ChangeTime, ItemChange, PlanChange
from gateway.billing.subscriptions.ending import Cancellation, EndingService
from gateway.billing.subscriptions.quotes import remember
from gateway.billing.subscriptions.service import SubscriptionService
from gateway.billing.subscriptions.set_aside import set_aside
from gateway.billing.user_errors import Rejected
from gateway.db.locks import user_lock
from gateway.db.tables import table_for
from gateway.errors import BadInput, Forbidden, NotFound, RateLimited, StripeUnavailable
from gateway.mirror.schedules import digest_of
from gateway.models.metering import UsageRecord
from gateway.models.mirrored import Customer, SubscriptionSchedule
from gateway.settings import Settings
from harness.rows import customer, invoice, item, line, price, product, subscription
from harness.stripe_objects import ENDS, NOW, STARTED, bill, theirs

ADA = Principal(subject="ada")
SUB, LIST, PREVIEW = "/v1/subscriptions/sub_1", "/v1/subscriptions", "/v1/invoices/create_preview"


@pytest.fixture
async def service(database, mirror, stripe, fill, scripted):
    """Ada has a plan; makes the service, which notes whose open checkouts it has closed."""
    of_month = price("month", "pro", trial_period_days=30)
    await fill(product("pro"), of_month, price("year", "pro", 9000, interval="year"))
    await fill(product("disks", meta={"group": "disks"}), price("disk", "disks", 300))
    await fill(customer(external_id="ada"), subscription(), item("si_1", "month", "pro"))
    await fill(customer("cus_2", "bob"), subscription("sub_2", customer_id="cus_2"))
    scripted.answer("GET", "/v1/invoices/in_1", bill("year"))

    def make(**settings) -> SubscriptionService:
        chosen = Settings.load(stripe_secret_key="sk_test_tests", stripe_api_base=scripted.url, **settings)
        send_usage = UsageForwarder(database, stripe).flush
        catalog = Catalog(chosen, database)
        made = SubscriptionService(chosen, mirror, stripe, catalog, close_checkouts=close, send_usage=send_usage)
        made.closed = closed
        made.endings = EndingService(chosen, mirror, stripe, catalog, close_checkouts=close, send_usage=send_usage)
        return made

    closed: list[str] = []

    async def close(external_id: str) -> None:
        closed.append(external_id)

    return make


def changed(scripted) -> list[tuple[str, str, dict]]:
    return [call for call in scripted.calls if call[0] != "GET"]


def becomes(scripted, *states: dict, method: str = "POST", path: str = SUB) -> None:
    """Stripe has the first state, and once it has done what it is asked, the last."""
    for each in states:
        scripted.answer("GET", SUB, each)
    scripted.answer(method, path, states[-1])


async def codes(call) -> list[tuple[str, str | None]]:
    with pytest.raises(Rejected) as raised:
        await call
    return [(problem.code.name, problem.field) for problem in raised.value.problems]


TO_YEAR = {"items[0][id]": "si_1", "items[0][price]": "year", "items[0][quantity]": "1"}
HOW = {"proration_behavior": "always_invoice", "payment_behavior": "error_if_incomplete", "expand[0]": "latest_invoice"}


async def test_a_change_is_billed_at_once_or_not_made(service, scripted):
    becomes(scripted, theirs(), theirs("year", latest_invoice=bill("year")))
    state, billed = await service().change(ADA, "sub_1", PlanChange("year"), None)
    expanded = ("latest_invoice", "schedule", "discounts", "discounts.source.coupon")
    expanded += ("customer.discount.source.coupon", "items.data.discounts")
    assert ("GET", SUB, {f"expand[{n}]": name for n, name in enumerate(expanded)}) in scripted.calls
    assert changed(scripted) == [("POST", SUB, {**TO_YEAR, **HOW})]
    assert ([each.price_id for each in state.items], billed.id) == (["year"], "in_1")


@pytest.mark.parametrize(("minutes", "good"), [(1, True), (16, False)])
async def test_a_quote_is_charged_from_its_moment_while_it_is_good(service, scripted, database, minutes, good):
    becomes(scripted, theirs(), theirs("year"))
    moment = NOW - timedelta(minutes=minutes)
    await remember(database, theirs(), moment)
    change = service().change(ADA, "sub_1", PlanChange("year", proration_date=moment), None)
    assert good or await codes(change) == [("PREVIEW_EXPIRED", "prorationDate")]
    if good:
        await change
    sent = [call[2].get("proration_date") for call in changed(scripted)]
    assert sent == ([str(int(moment.timestamp()))] if good else [])


async def test_a_key_is_of_one_user_and_of_what_is_done(service, scripted, fill):
    await fill(subscription("sub_3", customer_id="cus_2"))
    other = f"{LIST}/sub_3"
    becomes(scripted, theirs())
    scripted.answer("GET", other, {**theirs(cancel_at_period_end=True), "id": "sub_3", "customer": "cus_2"})
    scripted.answer("POST", other, {**theirs(), "id": "sub_3", "customer": "cus_2"})
    every = service()
    for key in ("k", "k", "l", None, None):
        await every.endings.cancel(ADA, "sub_1", Cancellation(), key)
    await every.endings.cancel(Principal(subject="bob"), "sub_3", Cancellation(), "k")
    await every.endings.resume(Principal(subject="bob"), "sub_3", "k")
    same, again, *others = scripted.keys
    assert same == again
    assert (same.partition("-")[0], others[-1].partition("-")[0]) == ("cancel", "resume")
    assert len({same, *others}) == 6


BILLS = {
    "of the change": ({}, "in_1"),
    "of another price": ({"price": "month"}, None),
    "of a renewal": ({"billing_reason": "subscription_cycle"}, None),
    "none": (None, None),
}


@pytest.mark.parametrize(("columns", "billed"), BILLS.values(), ids=BILLS)
async def test_what_is_so_already_is_not_done_again_and_its_invoice_is_answered(
    service, scripted, fill, columns, billed
):
    if columns is not None:
        bought = line(0, 30, price=columns.pop("price", "year"))
        await fill(invoice("in_1", bought, **{"billing_reason": "subscription_update", **columns}))
    scripted.answer("GET", SUB, theirs("year"))
    state, found = await service().change(ADA, "sub_1", PlanChange("year"), None)
    assert (changed(scripted), state.items[0].price_id, found and found.id) == ([], "year", billed)


@pytest.mark.parametrize("expanded", [False, True])
async def test_an_invoice_that_is_mirrored_as_a_draft_is_read_again(service, scripted, fill, expanded):
    await fill(invoice("in_1", status="draft"))
    scripted.answer("GET", SUB, theirs("year", latest_invoice=bill("year") if expanded else "in_1"))
    _, billed = await service().change(ADA, "sub_1", PlanChange("year"), None)
    assert (billed.id, billed.status) == ("in_1", "paid")


REFUSED = {
    "it has ended": (theirs(status="canceled"), PlanChange("year"), ("SUBSCRIPTION_ENDED", "subscriptionId")),
    "an invoice is open": (
        theirs(latest_invoice=bill(status="open")), PlanChange("year"), ("INVOICE_UNPAID", "subscriptionId"),
    ),
    "it is past due": (theirs(status="past_due"), PlanChange("year"), ("INVOICE_UNPAID", "subscriptionId")),
    "too many": (theirs(), PlanChange("year", 11), ("QUANTITY_INVALID", "quantity")),
    "no such price": (theirs(), PlanChange("no"), ("PRICE_NOT_FOUND", "priceId")),
}  # fmt: skip


@pytest.mark.parametrize(("present", "wanted", "expected"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_changed(service, scripted, present, wanted, expected):
    scripted.answer("GET", SUB, present)
    made = service(max_quantity=10)
    assert await codes(made.change(ADA, "sub_1", wanted, None)) == [expected]
    assert await codes(made.preview(ADA, "sub_1", wanted)) == [expected]
    assert (changed(scripted), made.closed) == ([], [])


async def test_of_another_group_there_must_be_none_and_no_checkout_of_it(service, scripted, fill):
    scripted.answer("GET", SUB, theirs())
    scripted.list(LIST, [theirs()], [theirs()])
    scripted.answer("POST", SUB, theirs("disk"))
    made = service()
    await made.change(ADA, "sub_1", PlanChange("disk"), None)
    assert made.closed == ["ada"]
    asked = {"customer": "cus_1", "status": "all", "limit": "100"}
    pages = [asked, {**asked, "starting_after": "sub_1"}]
    assert [call[2] for call in scripted.calls if call[:2] == ("GET", LIST)] == pages
    assert len(changed(scripted)) == 1

    await fill(subscription("sub_3"), item("si_3", "disk", "disks", subscription_id="sub_3"))
    assert await codes(made.change(ADA, "sub_1", PlanChange("disk"), None)) == [("ALREADY_SUBSCRIBED", "priceId")]
    scripted.calls.clear()
    made.closed.clear()
    assert await codes(made.preview(ADA, "sub_1", PlanChange("disk"))) == [("ALREADY_SUBSCRIBED", "priceId")]
    assert (changed(scripted), made.closed, [each for each in scripted.calls if each[1] == LIST]) == ([], [], [])
    await service(allow_multiple_subscriptions=True).change(ADA, "sub_1", PlanChange("disk"), None)
    assert (len(changed(scripted)), made.closed) == (1, [])


async def test_of_its_own_group_it_stays_though_another_is_there(service, scripted, fill):
    await fill(subscription("sub_3"), item("si_3", "month", "pro", subscription_id="sub_3"))
    becomes(scripted, theirs(), theirs("year"))
    made = service()
    await made.change(ADA, "sub_1", PlanChange("year"), None)
    assert (len(changed(scripted)), made.closed) == (1, [])


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


def transactions(database, count: int) -> asyncio.Event:
    """Is set when so many have ended: then so many who wait for a lock have tried to take it."""
    enough, transaction, ended = asyncio.Event(), database.transaction, 0

    async def counted(work, **options):
        nonlocal ended
        try:
            return await transaction(work, **options)
        finally:
            ended += 1
            if ended == count:
                enough.set()

    database.transaction = counted
    return enough


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
        tried = transactions(database, 1)
        waits = asyncio.create_task(cancel(ann.acting_for("cus_3"), "sub_3", Cancellation(), None))
        await asyncio.wait_for(tried.wait(), 20)
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
        tried = transactions(database, 2)
        waiting = [asyncio.create_task(each) for each in asked]
        await asyncio.wait_for(tried.wait(), 20)
        await database.transaction(lambda connection: connection.execute(taken).rowcount)
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in found] == [code] * 2
    assert scripted.calls == []


async def test_a_bad_key_or_a_strangers_card_is_told_before_stripe_is_asked(service, scripted, fill):
    await fill(customer("cus_4", "eve", payer_unverified=True), subscription("sub_4", customer_id="cus_4"))
    made, eve = service(), Principal(subject="eve")
    key, card = ("IDEMPOTENCY_KEY_INVALID", "idempotencyKey"), ("PAYMENT_METHOD_NEEDED", "subscriptionId")
    assert await codes(made.change(eve, "sub_4", PlanChange("year"), "")) == [key, card]
    long = Cancellation(comment="c" * 501)
    assert await codes(made.endings.cancel(ADA, "sub_1", long, "")) == [key, ("COMMENT_TOO_LONG", "comment")]
    assert await codes(made.endings.resume(ADA, "sub_1", "")) == [key]
    assert scripted.calls == []


ERRORS = {
    "a declined card": ({"type": "card_error", "code": "card_declined", "message": "Declined."}, 402, "PAYMENT_FAILED"),
    "anything": ({"type": "invalid_request_error", "message": "no"}, 400, "STRIPE_REFUSED"),
    "gone": ({"type": "invalid_request_error", "code": "resource_missing", "message": "no"}, 404, "STRIPE_REFUSED"),
}


@pytest.mark.parametrize(("error", "status", "code"), ERRORS.values(), ids=ERRORS)
async def test_what_stripe_refuses_is_told(service, scripted, error, status, code):
    scripted.answer("GET", SUB, theirs())
    scripted.answer("POST", SUB, {"error": error}, status=status)
    assert await codes(service().change(ADA, "sub_1", PlanChange("year"), None)) == [(code, None)]


async def test_what_ended_a_moment_ago_has_ended(service, scripted):
    becomes(scripted, theirs(), theirs(status="canceled"), method="DELETE")
    scripted.refuse("POST", SUB, "resource_missing", status=404)
    assert await codes(service().change(ADA, "sub_1", PlanChange("year"), None)) == [
        ("SUBSCRIPTION_ENDED", "subscriptionId")
    ]


LEAVES = {
    "cancelled": (lambda its: its.cancel(ADA, "sub_1", Cancellation(), None), {}),
    "paused": (lambda its: its.pause(ADA, "sub_1", None, None), {}),
    "resumed": (lambda its: its.resume(ADA, "sub_1", None), {"cancel_at_period_end": True, "cancel_at": ENDS}),
}


@pytest.mark.parametrize(("asked", "columns"), LEAVES.values(), ids=LEAVES)
async def test_what_ended_a_moment_ago_is_not(service, scripted, asked, columns):
    for each in (paused_item(**columns), paused_item(status="canceled", ended_at=STARTED + 9)):
        scripted.answer("GET", SUB, each)
    scripted.list(WAITING, [])
    scripted.refuse("POST", SUB, "resource_missing", status=404)
    assert await codes(asked(service().endings)) == [("SUBSCRIPTION_ENDED", "subscriptionId")]


async def test_what_stripe_does_not_have_is_not_there(service, scripted):
    scripted.refuse("GET", SUB, "resource_missing", status=404)
    with pytest.raises(NotFound):
        await service().endings.cancel(ADA, "sub_1", Cancellation(), None)


SAID = {"cancellation_details[feedback]": "too_expensive", "cancellation_details[comment]": "Bye"}
ENDINGS = {
    "with its period": (Cancellation(), {}, ("POST", {"cancel_at_period_end": "true"})),
    "with reasons": (
        Cancellation(False, "too_expensive", "Bye"), {}, ("POST", {"cancel_at_period_end": "true", **SAID}),
    ),
    "at once": (Cancellation(True), {}, ("DELETE", {"invoice_now": "true", "prorate": "false"})),
    "at once, credited": (
        Cancellation(True, comment="Bye"), {"prorate_cancellations": True},
        ("DELETE", {"invoice_now": "true", "prorate": "true", "cancellation_details[comment]": "Bye"}),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("how", "settings", "expected"), ENDINGS.values(), ids=ENDINGS)
async def test_how_a_subscription_ends(service, scripted, how, settings, expected):
    method, parameters = expected
    becomes(
        scripted,
        theirs(),
        theirs(cancel_at_period_end=not how.now, status="canceled" if how.now else "active"),
        method=method,
    )
    state = await service(**settings).endings.cancel(ADA, "sub_1", how, None)
    assert changed(scripted) == [(method, SUB, parameters)]
    assert (state.subscription.cancel_at_period_end, state.subscription.status == "canceled") == (not how.now, how.now)


METERED = {"id": "calls", "product": "pro", "recurring": {"usage_type": "metered"}}
LATE_USAGE = {
    "an end at once": (lambda made: made.endings.cancel(ADA, "sub_1", Cancellation(True), None), "DELETE"),
    "a change that takes the metered plan away": (
        lambda made: made.change(ADA, "sub_1", PlanChange(price_id="year", when=ChangeTime.NOW), None),
        "POST",
    ),
}


@pytest.mark.parametrize(("asked", "method"), LATE_USAGE.values(), ids=LATE_USAGE)
async def test_what_was_used_is_at_stripe_before_its_last_invoice(service, fill, scripted, asked, method):
    metered = theirs(items={"data": [{**theirs()["items"]["data"][0], "price": METERED}]})
    becomes(scripted, metered, method=method)
    scripted.answer("POST", "/v1/billing/meter_events", {})
    await fill(
        UsageRecord(
            id="use", customer_id="cus_1", event_name="calls", value=7, timestamp=NOW, fingerprint="x", created=NOW,
            status="pending", attempts=1, last_error="no", next_attempt_at=NOW + timedelta(days=1),
        )
    )  # fmt: skip
    await asked(service())
    assert [call[:2] for call in changed(scripted)] == [("POST", "/v1/billing/meter_events"), (method, SUB)]


RESUMED = {
    "a planned end": ({"cancel_at_period_end": True, "cancel_at": ENDS}, SUB, {"cancel_at_period_end": "false"}),
    "an end on a day": ({"cancel_at": ENDS}, SUB, {"cancel_at": ""}),
    "a paused collection": ({"pause_collection": {"behavior": "void"}}, SUB, {"pause_collection": ""}),
    "both": (
        {"cancel_at_period_end": True, "pause_collection": {"behavior": "void"}}, SUB,
        {"cancel_at_period_end": "false", "pause_collection": ""},
    ),
    "a pause": ({"status": "paused"}, f"{SUB}/resume", {"expand[0]": "latest_invoice"}),
    "a pause, in flexible billing": (
        {"status": "paused", "billing_mode": {"type": "flexible"}}, f"{SUB}/resume",
        {"expand[0]": "latest_invoice", "payment_behavior": "resume_on_payment_success"},
    ),
    "nothing": ({}, None, None),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "path", "parameters"), RESUMED.values(), ids=RESUMED)
async def test_what_is_resumed(service, scripted, columns, path, parameters):
    becomes(scripted, theirs(**columns), theirs(), path=path or SUB)
    state = await service().endings.resume(ADA, "sub_1", None)
    assert [(call[1], call[2]) for call in changed(scripted)] == ([(path, parameters)] if path else [])
    assert state.subscription.status == "active"


def paused_item(**columns) -> dict:
    obj = theirs(billing_cycle_anchor=STARTED, **columns)
    recurring = {"interval": "month", "interval_count": 1, "usage_type": "licensed"}
    obj["items"]["data"][0]["price"]["recurring"] = recurring
    return obj


VOID = {"pause_collection": {"behavior": "void"}}
VOIDED = {**VOID, "latest_invoice": bill(status="void")}
STRANGERS = {
    "an end": ({"cancel_at_period_end": True, "cancel_at": ENDS}, False),
    "a pause of a paid period": (VOID, False),
    "a pause that has voided the period": (VOIDED, True),
    "both": ({**VOIDED, "cancel_at_period_end": True}, True),
    "a trial that ended without a card": ({"status": "paused"}, True),
}


@pytest.mark.parametrize(("columns", "charged"), STRANGERS.values(), ids=STRANGERS)
async def test_no_resumption_charges_a_strangers_card(service, scripted, database, columns, charged):
    strangers = sa.update(table_for(Customer)).where(table_for(Customer).c.id == "cus_1").values(payer_unverified=True)
    await database.transaction(lambda connection: connection.execute(strangers).rowcount)
    becomes(scripted, paused_item(**columns), paused_item())
    scripted.answer("POST", f"{SUB}/resume", paused_item())
    resumed = service().endings.resume(ADA, "sub_1", None)
    if charged:
        assert await codes(resumed) == [("PAYMENT_METHOD_NEEDED", "subscriptionId")]
    else:
        await resumed
    assert len(changed(scripted)) == (not charged)


PHASE = {"start_date": STARTED, "end_date": ENDS, "items": [{"price": "month", "quantity": 1}]}
SCHEDULE = {"id": "sched_1", "object": "subscription_schedule", "customer": "cus_1", "subscription": "sub_1"}
SCHEDULE |= {"status": "active", "created": STARTED, "phases": [PHASE], "current_phase": PHASE}
SCHEDULE |= {"end_behavior": "release", "metadata": {"customer_may_change": "true"}}
RELEASE = "/v1/subscription_schedules/sched_1/release"
MAKE, ITS = "/v1/subscription_schedules", "/v1/subscription_schedules/sched_1"
LATER = PlanChange("year", when=ChangeTime.AT_PERIOD_END)
THEN = {"start_date": ENDS, "end_date": ENDS + 9, "items": [{"price": "year", "quantity": 1}]}
PLANS = {**SCHEDULE, "phases": [PHASE, THEN]}


def apart() -> dict:
    """Return a subscription with a month and a week whose renewals lie an hour apart."""
    obj = paused_item()
    (month,) = obj["items"]["data"]
    recurring = {"interval": "week", "interval_count": 1, "usage_type": "licensed"}
    week = {**month, "id": "si_2", "price": {"id": "week", "product": "pro", "recurring": recurring}}
    obj["items"]["data"].append({**week, "current_period_end": ENDS + 3_600})
    return obj


WAITING = "/v1/invoiceitems"
PAUSES = {
    "it has ended": (paused_item(status="canceled"), None, [], ("SUBSCRIPTION_ENDED", "subscriptionId")),
    "its end has passed": (paused_item(), NOW - timedelta(days=1), [], ("TIMESTAMP_INVALID", "until")),
    "an invoice is open": (
        paused_item(latest_invoice=bill(status="open")), None, [], ("INVOICE_UNPAID", "subscriptionId"),
    ),
    "it ends": (
        paused_item(cancel_at_period_end=True, cancel_at=ENDS), None, [], ("SUBSCRIPTION_ENDING", "subscriptionId"),
    ),
    "something waits": (paused_item(), None, [{"id": "ii_1"}], ("PAUSE_UNAVAILABLE", "subscriptionId")),
    "it is past due": (paused_item(status="past_due"), None, [], ("INVOICE_UNPAID", "subscriptionId")),
    "its plans never renew together": (apart(), NOW + timedelta(days=60), [], ("PAUSE_UNAVAILABLE", "until")),
    "a year is to begin meanwhile": (
        {**paused_item(), "schedule": PLANS}, NOW + timedelta(days=40), [], ("CHANGE_PENDING", "until"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("present", "until", "waiting", "expected"), PAUSES.values(), ids=PAUSES)
async def test_what_cannot_be_paused(service, scripted, present, until, waiting, expected):
    scripted.answer("GET", SUB, present)
    scripted.list(WAITING, waiting)
    assert await codes(service().endings.pause(ADA, "sub_1", until, None)) == [expected]
    assert changed(scripted) == []


@pytest.mark.parametrize("before", [{}, {**VOID, "latest_invoice": bill(status="open")}])
@pytest.mark.parametrize(("access", "behavior"), [("paid", "void"), ("free", "mark_uncollectible")])
async def test_a_pause_collects_nothing(service, scripted, before, access, behavior):
    becomes(scripted, paused_item(**before), paused_item(**VOID))
    scripted.list(WAITING, [])
    until = NOW + timedelta(days=20)
    state = await service(pause_access=access).endings.pause(ADA, "sub_1", until, "k")
    end = str(ENDS - 60)
    billed = {f"metadata[paused_by_customer_until_{ENDS - 60 + 86_400}]": str(bill()["created"])}
    own = billed if behavior == "void" else {}
    pause = {"pause_collection[behavior]": behavior, "pause_collection[resumes_at]": end}
    assert changed(scripted) == [("POST", SUB, pause | own)]
    assert ("GET", WAITING, {"customer": "cus_1", "pending": "true", "limit": "1"}) in scripted.calls
    assert (scripted.keys[0].partition("-")[0], state.subscription.pause_behavior) == ("pause", "void")


async def test_nobody_pauses_what_is_anothers_and_a_bad_key_is_told(service, scripted):
    with pytest.raises(NotFound):
        await service().endings.pause(ADA, "sub_2", None, None)
    assert await codes(service().endings.pause(ADA, "sub_1", None, "")) == [
        ("IDEMPOTENCY_KEY_INVALID", "idempotencyKey")
    ]
    assert scripted.calls == []


async def test_what_has_ended_is_not_resumed_and_its_end_is_no_error(service, scripted):
    scripted.answer("GET", SUB, theirs(status="canceled"))
    assert await codes(service().endings.resume(ADA, "sub_1", None)) == [("SUBSCRIPTION_ENDED", "subscriptionId")]
    assert (await service().endings.cancel(ADA, "sub_1", Cancellation(), None)).subscription.status == "canceled"
    assert changed(scripted) == []


async def test_a_subscription_is_taken_from_its_schedule_first(service, scripted):
    becomes(scripted, theirs(schedule=SCHEDULE), theirs(cancel_at_period_end=True))
    scripted.answer("POST", RELEASE, {**SCHEDULE, "status": "released", "subscription": None})
    scripted.answer("GET", "/v1/subscription_schedules/sched_1", {**SCHEDULE, "status": "released"})
    await service().endings.cancel(ADA, "sub_1", Cancellation(), None)
    assert [call[1] for call in changed(scripted)] == [RELEASE, SUB]
    assert scripted.keys[0] == "release-sub_1-sched_1"


async def test_a_schedule_that_is_not_released_keeps_its_subscription(service, scripted):
    scripted.answer("GET", SUB, theirs(schedule=SCHEDULE))
    scripted.refuse("POST", RELEASE, "no")
    assert await codes(service().endings.cancel(ADA, "sub_1", Cancellation(), None)) == [("STRIPE_REFUSED", None)]
    assert len(changed(scripted)) == 1


async def test_a_change_that_waits_is_planned_by_a_schedule(service, scripted):
    becomes(scripted, theirs(), theirs(schedule=SCHEDULE), path=MAKE)
    scripted._answers["POST", MAKE].clear()
    scripted.answer("POST", MAKE, SCHEDULE)
    scripted.answer("POST", ITS, PLANS)
    scripted.answer("GET", ITS, PLANS)
    state, billed = await service().change(ADA, "sub_1", LATER, "k")
    (made, _), (planned, sent), (marked, mark) = [(call[1], call[2]) for call in changed(scripted)]
    assert (made, planned, changed(scripted)[0][2]) == (MAKE, ITS, {"from_subscription": "sub_1"})
    assert (marked, mark) == (ITS, {"metadata[customer_planned]": digest_of(THEN)})
    expected = {"end_behavior": "release", "proration_behavior": "none", "phases[0][items][0][price]": "month"}
    expected |= {"phases[1][items][0][price]": "year", "phases[0][end_date]": str(ENDS)}
    expected |= {"metadata[customer_may_change]": str(ENDS), "metadata[customer_planned]": ""}
    assert expected.items() <= sent.items()
    assert (scripted.keys[1].partition("-")[0], billed) == ("change", None)
    assert (state.pending.items, int(state.pending.at.timestamp())) == ((("year", 1),), ENDS)


async def test_what_is_planned_already_is_not_planned_again_and_another_plan_replaces_it(service, scripted):
    scripted.answer("GET", SUB, theirs(schedule=PLANS))
    scripted.answer("GET", ITS, PLANS)
    scripted.answer("POST", ITS, PLANS)
    state, _ = await service().change(ADA, "sub_1", LATER, None)
    assert (changed(scripted), state.pending.items) == ([], (("year", 1),))
    await service().change(ADA, "sub_1", PlanChange("year", 3, when=ChangeTime.AT_PERIOD_END), None)
    assert [call[1] for call in changed(scripted)] == [ITS]


@pytest.mark.parametrize(("before", "released"), [(None, True), (SCHEDULE, False)])
async def test_a_plan_that_stripe_refuses_leaves_things_as_they_were(service, scripted, before, released):
    scripted.answer("GET", SUB, theirs(schedule=before))
    scripted.answer("GET", ITS, SCHEDULE)
    scripted.answer("POST", MAKE, SCHEDULE)
    scripted.answer("POST", RELEASE, {**SCHEDULE, "status": "released", "subscription": None})
    scripted.refuse("POST", ITS, "no")
    assert await codes(service().change(ADA, "sub_1", LATER, None)) == [("STRIPE_REFUSED", None)]
    assert (RELEASE in [call[1] for call in changed(scripted)]) is released


async def test_what_ends_cannot_be_changed_then(service, scripted):
    scripted.answer("GET", SUB, theirs(cancel_at_period_end=True, cancel_at=ENDS))
    assert await codes(service().change(ADA, "sub_1", LATER, None)) == [("SUBSCRIPTION_ENDING", "when")]
    assert await codes(service().preview(ADA, "sub_1", LATER)) == [("SUBSCRIPTION_ENDING", "when")]
    assert changed(scripted) == []


@pytest.mark.parametrize(("schedule", "asked"), [(None, []), (SCHEDULE, []), (PLANS, [RELEASE])])
async def test_what_is_planned_is_undone(service, scripted, schedule, asked):
    becomes(scripted, theirs(schedule=schedule), theirs())
    released = {**SCHEDULE, "status": "released", "subscription": None}
    scripted.answer("POST", RELEASE, released)
    scripted.answer("GET", ITS, released)
    state = await service().cancel_pending(ADA, "sub_1")
    assert ([call[1] for call in changed(scripted)], state.pending) == (asked, None)


async def test_a_schedule_that_stripe_has_released_does_not_speak_for_the_one_that_manages_the_subscription(
    service, scripted, fill
):
    end = [{"start": ENDS, "begun": False, "items": [], "fixed": True, "sellers": True}]
    row = {"subscription_id": "sub_1", "status": "active", "phases": end}
    await fill(
        *(SubscriptionSchedule(id=each, as_of=int(NOW.timestamp()) + 9, **row) for each in ("sched_0", "sched_2"))
    )
    becomes(scripted, theirs(schedule=PLANS), theirs())
    released = {**SCHEDULE, "status": "released", "subscription": None}
    for each in ("sched_0", "sched_1", "sched_2"):
        scripted.answer("GET", ITS.replace("sched_1", each), {**released, "id": each})
    scripted.answer("POST", RELEASE, released)
    await service().cancel_pending(ADA, "sub_1")
    assert [call[1] for call in changed(scripted)] == [RELEASE]


OPERATOR = Principal(operator=Operator("ann", Role.ACT)).acting_for("cus_1")


@pytest.mark.parametrize(("who", "excluded"), [(ADA, False), (ADA, True), (OPERATOR, True)])
async def test_a_plan_that_was_set_aside_comes_back_beside_no_other_of_its_group(
    service, scripted, fill, who, excluded
):
    later = {"start_date": ENDS, "end_date": ENDS + 9, "items": [{"price": "disk", "quantity": 1}]}
    kept = set_aside({**PLANS, "phases": [PHASE, later], "metadata": {}}, datetime.fromtimestamp(ENDS, UTC))
    left = {**SCHEDULE, "phases": [{**PHASE, "end_date": ENDS}], "end_behavior": "cancel", "metadata": kept}
    if excluded:
        await fill(subscription("sub_3"), item("si_3", "disk", "disks", subscription_id="sub_3"))
    scripted.answer("GET", SUB, theirs(schedule=left))
    scripted.list("/v1/subscriptions", [])
    scripted.answer("POST", ITS, {**left, "end_behavior": "release", "metadata": {}})
    scripted.answer("GET", ITS, left)
    made = service()
    resumed = made.endings.resume(who, "sub_1", None)
    if excluded:
        assert await codes(resumed) == [("ALREADY_SUBSCRIBED", "subscriptionId")]
    else:
        await resumed
    assert (made.closed, [call[1] for call in changed(scripted)]) == (["ada"], [] if excluded else [ITS])
    asked = [call[2]["customer"] for call in scripted.calls if call[:2] == ("GET", LIST)]
    assert asked == ["cus_1"]


async def test_what_a_subscription_plans_for_itself_excludes_no_change_to_it_at_once(service, scripted):
    later = {"start_date": ENDS, "end_date": ENDS + 9, "items": [{"price": "disk", "quantity": 1}]}
    planned = {**PLANS, "phases": [PHASE, later]}
    becomes(scripted, theirs(schedule=planned), theirs("disk"))
    scripted.list(LIST, [])
    released = {**planned, "status": "released", "subscription": None}
    scripted.answer("POST", RELEASE, released)
    scripted.answer("GET", ITS, planned)
    await service().change(ADA, "sub_1", PlanChange("disk", when=ChangeTime.NOW), None)
    assert [call[1] for call in changed(scripted)] == [SUB, RELEASE]


BY_SELLER = {**PLANS, "metadata": {}}


async def test_what_the_seller_has_planned_stays_whatever_the_customer_does(service, scripted):
    scripted.answer("GET", SUB, theirs(schedule=BY_SELLER))
    scripted.answer("GET", ITS, BY_SELLER)
    made, told = service(seller_plans_binding=True), [("PLANNED_BY_SELLER", "subscriptionId")]
    for wanted in (PlanChange("year"), LATER, PlanChange("month", 2)):
        assert await codes(made.change(ADA, "sub_1", wanted, None)) == told
        assert await codes(made.preview(ADA, "sub_1", wanted)) == told
    assert await codes(made.cancel_pending(ADA, "sub_1")) == told
    state, _ = await made.change(ADA, "sub_1", PlanChange("month"), None)  # it is so already
    assert state.pending == (await made.endings.resume(ADA, "sub_1", None)).pending
    assert state.pending.items == (("year", 1),)
    assert changed(scripted) == []


END_BY_SELLER = {**SCHEDULE, "end_behavior": "cancel", "metadata": {}}


@pytest.mark.parametrize("binding", [True, False])
async def test_an_end_that_the_seller_has_planned_binds_where_it_is_to_and_no_rest_before_it(
    service, scripted, binding
):
    released = {**END_BY_SELLER, "status": "released", "subscription": None}
    becomes(scripted, theirs(schedule=END_BY_SELLER), *([] if binding else [theirs()]))
    scripted.answer("POST", RELEASE, released)
    scripted.answer("GET", ITS, END_BY_SELLER if binding else released)
    resume = service(seller_plans_binding=binding).endings.resume
    if binding:
        assert await codes(resume(ADA, "sub_1", None)) == [("PLANNED_BY_SELLER", "subscriptionId")]
        assert changed(scripted) == []
        scripted._answers.clear()
        becomes(scripted, paused_item(schedule=END_BY_SELLER, **VOID))
        scripted.answer("GET", ITS, END_BY_SELLER)
        await resume(ADA, "sub_1", None)
        assert changed(scripted) == [("POST", SUB, {"pause_collection": ""})]
    else:
        await resume(ADA, "sub_1", None)
        assert [call[1] for call in changed(scripted)] == [RELEASE]


async def test_what_waits_goes_on_waiting_after_a_pause(service, scripted):
    becomes(scripted, paused_item(schedule=PLANS, **VOID))
    scripted.answer("GET", ITS, PLANS)
    state = await service().endings.resume(ADA, "sub_1", None)
    assert (changed(scripted), state.pending.items) == ([("POST", SUB, {"pause_collection": ""})], (("year", 1),))


@pytest.mark.parametrize("binding", [True, False])
async def test_who_leaves_sets_aside_what_the_seller_has_planned_and_gets_it_back(service, scripted, binding):
    made = service(seller_plans_binding=binding)
    over = {**BY_SELLER, "phases": [PHASE], "end_behavior": "cancel"}
    scripted.answer("GET", SUB, theirs(schedule=BY_SELLER))
    scripted.answer("POST", ITS, over)
    scripted.answer("GET", ITS, over)
    await made.endings.cancel(ADA, "sub_1", Cancellation(feedback="unused", comment="Bye"), "k")
    ((_, path, sent),) = changed(scripted)
    assert scripted.keys[0].partition("-")[0] == "cancel"
    assert (path, sent["end_behavior"], sent["phases[0][end_date]"]) == (ITS, "cancel", str(ENDS))
    kept = {name[9:-1]: text for name, text in sent.items() if name.startswith("metadata[")}
    assert (kept.pop("feedback"), kept.pop("comment"), kept["ended_by_customer"]) == ("unused", "Bye", str(ENDS))
    assert not any(name.startswith("phases[1]") for name in sent)
    over["metadata"] = kept
    scripted._answers.clear()
    scripted.answer("GET", SUB, theirs(schedule=over))
    scripted.answer("GET", ITS, over)
    scripted.calls.clear()
    state = await made.endings.cancel(ADA, "sub_1", Cancellation(), None)  # which it is already
    assert (int(state.planned.end.timestamp()), state.pending, changed(scripted)) == (ENDS, None, [])
    assert await codes(made.change(ADA, "sub_1", LATER, None)) == [("SUBSCRIPTION_ENDING", "subscriptionId")]
    for spoilt in ({"set_aside_1": "}"}, {"set_aside_0": ""}):
        over["metadata"] = kept | spoilt
        assert await codes(made.endings.resume(ADA, "sub_1", None)) == [("PLANNED_BY_SELLER", "subscriptionId")]
    assert changed(scripted) == []
    over["metadata"] = kept
    becomes(scripted, theirs(schedule=over), theirs(schedule=BY_SELLER), path=ITS)
    await made.endings.resume(ADA, "sub_1", None)
    ((_, path, sent),) = changed(scripted)
    expected = {"phases[0][end_date]": str(ENDS), "phases[1][end_date]": str(ENDS + 9), "end_behavior": "release"}
    expected |= {"phases[1][items][0][price]": "year", "phases[1][items][0][quantity]": "1"}
    expected |= {f"metadata[{name}]": "" for name in kept}
    assert (path, expected.items() <= sent.items()) == (ITS, True)


@pytest.mark.parametrize("reason", ["unused", None])
async def test_an_end_at_once_takes_what_the_seller_has_planned_along_or_fails_as_a_whole(service, scripted, reason):
    becomes(scripted, theirs(schedule=BY_SELLER), theirs(status="canceled", ended_at=STARTED + 9))
    scripted.answer("POST", f"{ITS}/cancel", {**BY_SELLER, "status": "canceled"})
    scripted.answer("GET", ITS, {**BY_SELLER, "status": "canceled"})
    state = await service().endings.cancel(ADA, "sub_1", Cancellation(now=True, feedback=reason), None)
    (ended, *told) = changed(scripted)
    assert ended == ("POST", f"{ITS}/cancel", {"invoice_now": "true", "prorate": "false"})
    assert told == ([("POST", SUB, {"cancellation_details[feedback]": reason})] if reason else [])
    assert scripted.keys[1:] == (["details-sub_1-sched_1"] if reason else [])
    assert state.subscription.status == "canceled"


@pytest.mark.parametrize(("code", "status"), [("no", 400), ("resource_missing", 404)])
async def test_that_stripe_takes_no_reason_undoes_no_end(service, scripted, code, status):
    becomes(scripted, theirs(schedule=BY_SELLER), theirs(status="canceled", ended_at=STARTED + 9))
    scripted.forget("POST", SUB)
    scripted.refuse("POST", SUB, code, status=status)
    scripted.answer("POST", f"{ITS}/cancel", {**BY_SELLER, "status": "canceled"})
    scripted.answer("GET", ITS, {**BY_SELLER, "status": "canceled"})
    state = await service().endings.cancel(ADA, "sub_1", Cancellation(now=True, feedback="unused"), None)
    assert state.subscription.status == "canceled"


async def test_of_what_has_ended_or_is_anothers_nothing_is_undone(service, scripted):
    scripted.answer("GET", SUB, theirs(status="canceled"))
    assert await codes(service().cancel_pending(ADA, "sub_1")) == [("SUBSCRIPTION_ENDED", "subscriptionId")]
    with pytest.raises(NotFound, match="no such object"):
        await service().cancel_pending(ADA, "sub_2")


async def test_what_is_there_already_undoes_what_was_planned(service, scripted):
    becomes(scripted, theirs(schedule=PLANS), theirs())
    released = {**SCHEDULE, "status": "released", "subscription": None}
    scripted.answer("POST", RELEASE, released)
    scripted.answer("GET", ITS, released)
    state, _ = await service().change(ADA, "sub_1", PlanChange("month"), None)
    assert ([call[1] for call in changed(scripted)], state.pending) == ([RELEASE], None)


async def test_what_a_renewal_comes_to_also_with_what_is_planned(service, scripted, fill):
    made = service()
    scripted.answer("POST", PREVIEW, bill(total=555))
    assert await made.due_at_renewal("sub_1") == 555
    assert changed(scripted) == [("POST", PREVIEW, {"subscription": "sub_1"})]
    scripted.calls.clear()
    scripted._answers.clear()
    await fill(SubscriptionSchedule(id="sched_1", as_of=0, subscription_id="sub_1", status="active", phases=[]))
    scripted.answer("POST", PREVIEW, bill(total=777))
    assert await made.due_at_renewal("sub_1") == 777
    assert changed(scripted) == [("POST", PREVIEW, {"schedule": "sched_1"})]
    scripted._answers.clear()
    scripted.refuse("POST", PREVIEW, "invoice_upcoming_none")
    assert await made.due_at_renewal("sub_1") is None


async def test_a_preview_asks_for_what_is_due_and_for_what_a_renewal_costs(service, scripted, database):
    scripted.answer("GET", SUB, theirs())
    scripted.answer("POST", PREVIEW, bill("year", proration=True))
    made = service()
    quote = await made.preview(ADA, "sub_1", PlanChange("year", 2))
    items = {f"subscription_details[items][0][{name}]": text for name, text in (("id", "si_1"), ("price", "year"))}
    items["subscription_details[items][0][quantity]"] = "2"
    behaviour = "subscription_details[proration_behavior]"
    asked = [{"subscription": "sub_1", "preview_mode": mode, **items, behaviour: how}
             for mode, how in (("next", "always_invoice"), ("recurring", "none"))]  # fmt: skip
    assert sorted((call[2] for call in changed(scripted)), key=lambda each: each["preview_mode"]) == asked
    assert len(set(scripted.keys)) == 2
    assert (quote.due_now, quote.due_at_renewal, quote.proration_date.timestamp()) == (900, 900, STARTED)


async def test_a_quote_is_remembered_with_the_state_it_was_made_from(service, scripted):
    recent = int(NOW.timestamp())
    scripted.answer("GET", SUB, theirs())
    details = {"subscription": "sub_1", "subscription_proration_date": recent}
    scripted.answer("POST", PREVIEW, bill("year", parent={"subscription_details": details}))
    made = service()
    quote = await made.preview(ADA, "sub_1", PlanChange("year"))
    assert quote.proration_date == NOW
    scripted.answer("GET", SUB, theirs())
    scripted.answer("GET", SUB, theirs(quantity=2))
    wanted = PlanChange("year", proration_date=quote.proration_date)
    scripted.answer("POST", SUB, theirs("year"))
    await made.change(ADA, "sub_1", wanted, None)
    assert await codes(made.change(ADA, "sub_1", wanted, None)) == [("PREVIEW_EXPIRED", "prorationDate")]


async def test_in_a_trial_nothing_is_due_and_before_an_end_nothing_is_renewed(service, scripted):
    trial = {"status": "trialing", "trial_start": STARTED, "trial_end": ENDS}
    scripted.answer("GET", SUB, theirs(latest_invoice=None, **trial))
    scripted.refuse("POST", PREVIEW, "invoice_upcoming_none")
    quote = await service().preview(ADA, "sub_1", PlanChange("month", 2))
    assert (quote.due_now, quote.due_at_renewal, len(changed(scripted))) == (0, None, 1)
    assert quote.trial_end == datetime.fromtimestamp(ENDS, UTC)


@pytest.mark.parametrize("behavior", ["create_invoice", "pause", "cancel"])
async def test_a_change_to_a_plan_without_a_trial_ends_the_trial(service, scripted, behavior):
    trial = {"status": "trialing", "trial_start": STARTED, "trial_end": ENDS, "latest_invoice": None}
    settings = {"trial_settings": {"end_behavior": {"missing_payment_method": behavior}}}
    scripted.answer("GET", "/v1/customers/cus_1", {"id": "cus_1", "default_source": "card_1"})
    becomes(scripted, theirs(**trial, **settings), theirs("year", latest_invoice=bill("year")))
    await service().change(ADA, "sub_1", PlanChange("year"), None)
    assert changed(scripted) == [("POST", SUB, {**TO_YEAR, **HOW, "trial_end": "now"})]
    asked = [call[1] for call in scripted.calls if call[1].startswith("/v1/customers")]
    assert asked == ([] if behavior == "create_invoice" else ["/v1/customers/cus_1"])


@pytest.mark.parametrize(("minutes", "expired"), [(1, True), (None, False)])
async def test_a_trial_that_has_run_out_since_its_quote_is_not_charged(
    service, scripted, database, fill, minutes, expired
):
    """The quick plan's day of trial, from the beginning of the first one, is over now and was not a minute ago."""
    await fill(price("quick", "pro", 9000, trial_period_days=1))
    trial = {"status": "trialing", "trial_start": STARTED, "trial_end": ENDS, "latest_invoice": None}
    becomes(scripted, theirs(**trial), theirs("quick"))
    quoted = NOW - timedelta(minutes=minutes) if minutes else None
    if quoted:
        await remember(database, theirs(**trial), quoted)
    change = service().change(ADA, "sub_1", PlanChange("quick", proration_date=quoted), None)
    if expired:
        assert await codes(change) == [("PREVIEW_EXPIRED", "prorationDate")]
    else:
        await change
    assert [call[2].get("trial_end") for call in changed(scripted)] == ([] if expired else ["now"])


async def test_a_trial_is_not_ended_where_nothing_would_pay(service, scripted):
    trial = {"status": "trialing", "trial_start": STARTED, "trial_end": ENDS, "latest_invoice": None}
    trial |= {"trial_settings": {"end_behavior": {"missing_payment_method": "pause"}}}
    scripted.answer("GET", SUB, theirs(**trial))
    scripted.answer("GET", "/v1/customers/cus_1", {"id": "cus_1", "default_source": None})
    for asked in (
        service().change(ADA, "sub_1", PlanChange("year"), None),
        service().preview(ADA, "sub_1", PlanChange("year")),
    ):
        assert await codes(asked) == [("PAYMENT_METHOD_NEEDED", "subscriptionId")]
    assert changed(scripted) == []


async def test_the_preview_of_such_a_change_is_charged_now(service, scripted):
    trial = {"status": "trialing", "trial_start": STARTED, "trial_end": ENDS, "latest_invoice": None}
    scripted.answer("GET", SUB, theirs(**trial))
    scripted.answer("POST", PREVIEW, bill("year"))
    quote = await service().preview(ADA, "sub_1", PlanChange("year"))
    assert [call[2]["subscription_details[trial_end]"] for call in changed(scripted)] == ["now", "now"]
    assert (quote.due_now, quote.trial_end) == (900, None)


async def test_a_change_that_waits_leaves_the_trial_alone(service, scripted):
    trial = {"status": "trialing", "trial_start": STARTED, "trial_end": ENDS, "latest_invoice": None}
    scripted.answer("GET", SUB, theirs(**trial))
    scripted.answer("POST", PREVIEW, bill("year"))
    quote = await service().preview(ADA, "sub_1", LATER)
    assert (quote.trial_end, quote.due_now) == (datetime.fromtimestamp(ENDS, UTC), 0)
    (call,) = changed(scripted)
    assert "subscription_details[trial_end]" not in call[2]


async def test_a_preview_of_a_change_that_waits_costs_nothing_now(service, scripted):
    scripted.answer("GET", SUB, theirs())
    scripted.answer("POST", PREVIEW, bill("year"))
    quote = await service().preview(ADA, "sub_1", LATER)
    assert (quote.due_now, quote.at, quote.renews_at) == (0, *[datetime.fromtimestamp(ENDS, UTC)] * 2)
    assert [call[2]["preview_mode"] for call in changed(scripted)] == ["recurring"]


async def test_what_is_paused_is_neither_changed_nor_previewed(service, scripted):
    scripted.answer("GET", SUB, theirs(pause_collection={"behavior": "void"}))
    told = await codes(service().change(ADA, "sub_1", PlanChange("year"), None))
    assert await codes(service().preview(ADA, "sub_1", PlanChange("year"))) == told
    assert (told[0][0], changed(scripted)) == ("SUBSCRIPTION_PAUSED", [])


async def test_a_preview_that_stripe_refuses_is_a_wrong_request(service, scripted):
    scripted.answer("GET", SUB, theirs())
    scripted.refuse("POST", PREVIEW, "no")
    with pytest.raises(BadInput, match="no"):
        await service().preview(ADA, "sub_1", PlanChange("year"))


async def test_what_was_bought_a_moment_ago_is_read(service, scripted, database):
    scripted.answer("GET", f"{LIST}/sub_5", {**theirs(), "id": "sub_5"})
    made = service()
    await made.find("sub_5")
    scripted.refuse("GET", f"{LIST}/sub_6", "resource_missing", status=404)
    await made.find("sub_6")
    await made.find("not an id")
    assert [call[1] for call in scripted.calls] == [f"{LIST}/sub_5", f"{LIST}/sub_6"]
    scripted.answer("GET", f"{LIST}/sub_7", {"error": {"type": "api_error", "message": "no"}}, status=500)
    with pytest.raises(StripeUnavailable):
        await made.find("sub_7")
    scripted.answer("DELETE", f"{LIST}/sub_5", {**theirs(status="canceled"), "id": "sub_5"})
    scripted.answer("GET", f"{LIST}/sub_5", {**theirs(status="canceled"), "id": "sub_5"})
    await made.endings.cancel(ADA, "sub_5", Cancellation(now=True), None)  # it is in the mirror


STAYS = {"start_date": ENDS, "end_date": ENDS + 9, "items": PHASE["items"]}
ENDING = {**SCHEDULE, "phases": [PHASE, STAYS], "end_behavior": "cancel"}


async def test_a_change_that_waits_leaves_the_end_that_is_planned(service, scripted):
    becomes(scripted, theirs(schedule=ENDING), path=ITS)
    scripted.answer("GET", ITS, ENDING)
    await service().change(ADA, "sub_1", LATER, None)
    ((_, _, sent),) = changed(scripted)
    expected = {"end_behavior": "cancel", "phases[1][items][0][price]": "year", "phases[1][end_date]": str(ENDS + 9)}
    assert expected.items() <= sent.items()
    assert "phases[1][duration][interval]" not in sent


@pytest.mark.parametrize("managed", [True, False])
async def test_a_change_at_once_takes_the_place_of_one_that_waits_and_leaves_the_end(service, scripted, managed):
    """Where the schedule has let the subscription go meanwhile, there is no end to leave."""
    plans = {**PLANS, "end_behavior": "cancel"}
    becomes(scripted, theirs(schedule=plans), theirs(quantity=2, schedule=plans if managed else None))
    scripted.answer("POST", ITS, ENDING)
    scripted.answer("GET", ITS, {**plans, "status": "released", "subscription": None})
    await service().change(ADA, "sub_1", PlanChange("month", 2, when=ChangeTime.NOW), None)
    (_, path, _), *after = changed(scripted)
    assert (path, [call[1] for call in after]) == (SUB, [ITS] if managed else [])
    expected = {"end_behavior": "cancel", "phases[0][items][0][quantity]": "2", "phases[0][end_date]": str(ENDS + 9)}
    for _, _, sent in after:
        assert expected.items() <= sent.items()
        assert not any(name.startswith("phases[1]") for name in sent)


CONFIRM = {"error": {"type": "card_error", "message": "no", "code": "authentication_required"}}


@pytest.mark.parametrize(("schedule", "told"), [(SCHEDULE, []), (PLANS, [("CHANGE_PENDING", "subscriptionId")])])
async def test_a_change_whose_payment_must_be_confirmed_waits_for_that(service, scripted, schedule, told):
    """No schedule keeps it from being made then; what a schedule plans is not given up for it."""
    scripted.answer("POST", SUB, CONFIRM, status=402)
    becomes(scripted, theirs(schedule=schedule), theirs(latest_invoice=bill("year", status="open")))
    released = {**SCHEDULE, "status": "released", "subscription": None}
    scripted.answer("POST", RELEASE, released)
    scripted.answer("GET", ITS, released)
    asked = service().change(ADA, "sub_1", PlanChange("year", when=ChangeTime.NOW), "k")
    if told:
        assert await codes(asked) == told
        assert [call[1] for call in changed(scripted)] == [SUB]
        return
    await asked
    refused, freed, confirmed, again = changed(scripted)
    assert (refused, freed[1]) == (("POST", SUB, {**TO_YEAR, **HOW}), RELEASE)
    assert confirmed == ("POST", SUB, {**TO_YEAR, **HOW, "payment_behavior": "pending_if_incomplete"})
    assert scripted.keys[2] == f"{scripted.keys[0]}-confirm"
    assert (again, scripted.keys[3]) == (freed, scripted.keys[1])  # which Stripe only repeats


WAITS = {"expires_at": ENDS, "subscription_items": [{"price": {"id": "year"}, "quantity": 1}]}


async def test_a_change_that_waits_for_its_payment_is_not_made_again(service, scripted, fill):
    await fill(invoice("in_1", line(0, 30, price="year"), billing_reason="subscription_update", status="open"))
    unpaid = bill("year", status="open")
    scripted.answer("GET", SUB, theirs(pending_update=WAITS, latest_invoice=unpaid))
    _, billed = await service().change(ADA, "sub_1", PlanChange("year"), None)
    assert (billed.id, changed(scripted)) == ("in_1", [])


async def test_what_waits_for_its_payment_is_undone_with_its_invoice(service, scripted):
    scripted.answer("GET", SUB, theirs(pending_update=WAITS, latest_invoice=bill("year", status="open")))
    scripted.answer("GET", SUB, theirs())
    scripted.answer("POST", "/v1/invoices/in_1/void", bill("year", status="void"))
    state = await service().cancel_pending(ADA, "sub_1")
    assert ([call[1] for call in changed(scripted)], state.subscription.id) == (["/v1/invoices/in_1/void"], "sub_1")


FREE_AGAIN = {
    "it is undone": lambda made: made.cancel_pending(ADA, "sub_1"),
    "what is there already is chosen": lambda made: made.change(ADA, "sub_1", PlanChange("month"), None),
    "another is chosen": lambda made: made.change(ADA, "sub_1", PlanChange("year", when=ChangeTime.NOW), None),
}


@pytest.mark.parametrize("asked", FREE_AGAIN.values(), ids=FREE_AGAIN)
async def test_what_the_seller_has_planned_is_given_up_for_what_anybody_can_buy(service, scripted, asked):
    becomes(scripted, theirs(schedule=BY_SELLER), theirs())
    released = {**BY_SELLER, "status": "released", "subscription": None}
    scripted.answer("POST", RELEASE, released)
    scripted.answer("GET", ITS, released)
    await asked(service())
    assert changed(scripted)[-1][1] == RELEASE


async def test_where_no_change_is_planned_the_sellers_end_is_no_error(service, scripted):
    scripted.answer("GET", SUB, theirs(schedule={**BY_SELLER, "phases": [PHASE, STAYS], "end_behavior": "cancel"}))
    state = await service(seller_plans_binding=True).cancel_pending(ADA, "sub_1")
    assert (int(state.planned.end.timestamp()), changed(scripted)) == (ENDS + 9, [])


def with_disk(ends: int = ENDS, **columns) -> dict:
    """Ada's plan with a disk beside it, whose period may end another day."""
    first = theirs()["items"]["data"][0]
    disk = {**first, "id": "si_2", "price": {"id": "disk", "product": "disks"}, "current_period_end": ends}
    return theirs(items={"data": [first, disk]}, **columns)


def entries(*items: ItemChange, when: ChangeTime = ChangeTime.AT_PERIOD_END) -> PlanChange:
    return PlanChange(items=items, when=when)


TO_YEAR_ITEM, NO_DISK = ItemChange("year", item_id="si_1"), ItemChange(item_id="si_2", remove=True)
KEPT_OUT = {
    "Stripe has paused it": (theirs(status="paused"), PlanChange("year"), ("SUBSCRIPTION_PAUSED", "subscriptionId")),
    "two intervals": (
        with_disk(), entries(TO_YEAR_ITEM, when=ChangeTime.NOW), ("INTERVALS_MIXED", "items"),
    ),
    "periods that end apart": (
        with_disk(ENDS + 9), entries(ItemChange("month", 2, "si_1"), ItemChange("disk", 2, "si_2")),
        ("INTERVALS_MIXED", "items"),
    ),
    "another interval later": (
        with_disk(billing_mode={"type": "flexible"}), entries(TO_YEAR_ITEM), ("INTERVALS_MIXED", "when"),
    ),
    "two of one group": (
        theirs(), entries(ItemChange("disk"), ItemChange("cd"), when=ChangeTime.NOW),
        ("ALREADY_SUBSCRIBED", "priceId"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("present", "wanted", "expected"), KEPT_OUT.values(), ids=KEPT_OUT)
async def test_what_does_not_go_together(service, scripted, fill, present, wanted, expected):
    await fill(product("cds", meta={"group": "disks"}), price("cd", "cds", 300))
    scripted.answer("GET", SUB, present)
    scripted.list(LIST, [])
    assert await codes(service().change(ADA, "sub_1", wanted, None)) == [expected]
    assert await codes(service().preview(ADA, "sub_1", wanted)) == [expected]
    assert changed(scripted) == []


async def test_what_a_pause_has_left_unpaid_comes_before_a_change(service, scripted, fill):
    own = {f"paused_by_customer_until_{ENDS}": str(STARTED - 86_400)}
    voided = bill(status="void", status_transitions={"paid_at": None})
    scripted.answer("GET", SUB, theirs(metadata=own, latest_invoice=voided))
    begun, ends = datetime.fromtimestamp(STARTED, UTC), datetime.fromtimestamp(ENDS, UTC)
    period = {"period_start": STARTED, "period_end": ENDS}
    moments = {"created": begun, "service_end": ends, "paid_at": None}
    await fill(invoice("in_2", line(0, 30, **period), status="void", **moments))
    assert await codes(service().change(ADA, "sub_1", PlanChange("year"), None)) == [
        ("SUBSCRIPTION_PAUSED", "subscriptionId")
    ]


async def test_what_goes_with_a_change_excludes_nothing_that_comes_with_it(service, scripted):
    becomes(scripted, with_disk(), theirs("disk"))
    scripted.list(LIST, [])
    change = entries(ItemChange("disk", item_id="si_1"), NO_DISK, when=ChangeTime.NOW)
    await service().change(ADA, "sub_1", change, None)
    assert [call[1] for call in changed(scripted)] == [SUB]


@pytest.mark.parametrize(("to", "waits"), [("small", True), ("big", False)])
async def test_by_the_setting_what_is_less_waits_and_what_is_more_does_not(service, scripted, fill, to, waits):
    await fill(price("small", "pro", 300), price("big", "pro", 5000))
    scripted.answer("GET", SUB, theirs())
    scripted.answer("POST", PREVIEW, bill(to))
    quote = await service(change_time="automatic").preview(ADA, "sub_1", PlanChange(to))
    assert quote.at == (datetime.fromtimestamp(ENDS, UTC) if waits else None)


def of_lines(**starts: int) -> dict:
    """A previewed renewal of some prices, each for thirty days from its moment."""
    lines = []
    for name, start in starts.items():
        (one,) = bill(name)["lines"]["data"]
        lines.append({**one, "id": f"il_{name}", "period": {"start": start, "end": start + 30 * 86_400}})
    return bill(lines={"data": lines})


AFTER = ENDS + 5 * 86_400
RENEWED = {
    "when the new plan is billed": (with_disk(), PlanChange("year", item_id="si_1", when=ChangeTime.NOW), "year", ENDS),
    "when what stays is billed": (with_disk(), entries(NO_DISK, when=ChangeTime.NOW), "month", ENDS),
    "when a change that waits is made": (theirs(), LATER, "other", ENDS),
    "not when something only goes": (with_disk(AFTER), entries(ItemChange(item_id="si_1", remove=True)), "disk", AFTER),
}


@pytest.mark.parametrize(("present", "wanted", "billed", "expected"), RENEWED.values(), ids=RENEWED)
async def test_when_the_renewal_after_a_change_is(service, scripted, present, wanted, billed, expected):
    """Whatever else is billed another day."""
    present = {**present, "billing_mode": {"type": "flexible"}}
    scripted.answer("GET", SUB, present)
    lines = {"extra": AFTER + 86_400, "disk": AFTER, billed: expected}
    scripted.answer("POST", PREVIEW, of_lines(**lines))
    quote = await service().preview(ADA, "sub_1", wanted)
    assert int(quote.renews_at.timestamp()) == expected


@pytest.mark.parametrize(("when", "left"), [(ChangeTime.NOW, ""), (ChangeTime.AT_PERIOD_END, "di_1")])
async def test_a_discount_of_one_invoice_is_used_up_by_a_change_at_once(service, scripted, when, left):
    once = {"id": "half", "object": "coupon", "duration": "once", "percent_off": 50}
    once |= dict.fromkeys(("name", "amount_off", "currency", "duration_in_months"))
    discount = {"id": "di_1", "object": "discount", "customer": "cus_1", "promotion_code": None, "start": STARTED}
    discount |= {"end": None, "source": {"type": "coupon", "coupon": once}}
    scripted.answer("GET", SUB, theirs(discounts=[discount]))
    scripted.answer("GET", "/v1/coupons/half", once)
    for total in (900, 900, 450)[when is ChangeTime.AT_PERIOD_END :]:
        scripted.answer("POST", PREVIEW, bill("year", total=total))
    quote = await service().preview(ADA, "sub_1", PlanChange("year", when=when))
    *_, (_, _, asked) = changed(scripted)
    details = {f"items][0][{name}": text for name, text in (("id", "si_1"), ("price", "year"), ("quantity", "1"))}
    details |= {"proration_behavior": "none", "billing_cycle_anchor][type": "now"}
    expected = {"subscription": "sub_1", "preview_mode": "recurring"}
    expected |= {f"subscription_details[{name}]": text for name, text in details.items()}
    expected |= {"discounts[0][discount]": left} if left else {"discounts": ""}
    assert (asked, quote.due_at_renewal) == (expected, 450)


IN_TRIAL = {"status": "trialing", "trial_start": STARTED, "latest_invoice": None}
RISEN = str(12 * 4100)
TRIALS = {
    "as long as the plan's": (ENDS, PlanChange("month", 2), {}),
    "longer, of a dearer price by now": (
        ENDS + 86_400 * 60, PlanChange("big"), {"metadata[given_trial_dearer_by]": RISEN},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("ends", "wanted", "said"), TRIALS.values(), ids=TRIALS)
async def test_a_trial_goes_on_and_a_given_one_keeps_in_mind_what_for(service, scripted, fill, ends, wanted, said):
    await fill(price("big", "pro", 5000))
    becomes(scripted, theirs(trial_end=ends, **IN_TRIAL))
    await service().change(ADA, "sub_1", wanted, None)
    ((_, _, sent),) = changed(scripted)
    assert "trial_end" not in sent
    assert {name: text for name, text in sent.items() if name.startswith("metadata")} == said


async def test_a_subscription_is_told_to_its_owner_alone_as_the_mirror_has_it(service, scripted):
    made = service()
    assert (await made.state(ADA, "sub_1")).subscription.id == "sub_1"
    for its in ("sub_2", "sub_9"):
        with pytest.raises(NotFound):
            await made.state(ADA, its)
    assert scripted.calls == []


ENDING_CHANGED = {**PLANS, "end_behavior": "cancel"}
KEPT = set_aside({**PLANS, "metadata": {}}, datetime.fromtimestamp(ENDS, UTC))
LEFT = {**SCHEDULE, "phases": [{**PHASE, "end_date": ENDS}], "end_behavior": "cancel", "metadata": KEPT}
GONE = {
    "to plan": (None, MAKE, lambda made: made.change(ADA, "sub_1", LATER, None)),
    "to plan anew": (SCHEDULE, ITS, lambda made: made.change(ADA, "sub_1", LATER, None)),
    "to undo": (PLANS, RELEASE, lambda made: made.cancel_pending(ADA, "sub_1")),
    "to undo before an end": (ENDING_CHANGED, ITS, lambda made: made.cancel_pending(ADA, "sub_1")),
    "to end": (BY_SELLER, ITS, lambda made: made.endings.cancel(ADA, "sub_1", Cancellation(), None)),
    "to end at once": (
        BY_SELLER, f"{ITS}/cancel", lambda made: made.endings.cancel(ADA, "sub_1", Cancellation(now=True), None),
    ),
    "to go on": (ENDING, RELEASE, lambda made: made.endings.resume(ADA, "sub_1", None)),
    "to go on with a change": (ENDING_CHANGED, ITS, lambda made: made.endings.resume(ADA, "sub_1", None)),
    "to go on as it was": (LEFT, ITS, lambda made: made.endings.resume(ADA, "sub_1", None)),
}  # fmt: skip


@pytest.mark.parametrize(("schedule", "path", "asked"), GONE.values(), ids=GONE)
async def test_whose_schedule_ended_with_it_a_moment_ago_has_ended(service, scripted, schedule, path, asked):
    scripted.answer("GET", SUB, theirs(schedule=schedule))
    scripted.answer("GET", SUB, theirs(status="canceled"))
    scripted.list(LIST, [])
    scripted.refuse("POST", path, "resource_missing", status=404)
    assert await codes(asked(service())) == [("SUBSCRIPTION_ENDED", "subscriptionId")]
    assert [call[1] for call in changed(scripted)] == [path]


async def test_a_plan_that_is_gone_before_it_is_marked_has_ended(service, scripted):
    scripted.answer("GET", SUB, theirs(schedule={**SCHEDULE, "metadata": {}}))
    scripted.answer("GET", SUB, theirs(status="canceled"))
    scripted.answer("POST", ITS, PLANS)
    scripted.refuse("POST", ITS, "resource_missing", status=404)
    scripted.answer("GET", ITS, PLANS)
    assert await codes(service().change(ADA, "sub_1", LATER, None)) == [("SUBSCRIPTION_ENDED", "subscriptionId")]


@pytest.mark.parametrize(
    ("schedule", "path", "said"), [(ENDING, RELEASE, {}), (ENDING_CHANGED, ITS, {"end_behavior": "release"})]
)
async def test_who_takes_an_end_back_keeps_the_change_before_it(service, scripted, schedule, path, said):
    scripted.answer("GET", SUB, theirs(schedule=schedule))
    scripted.answer("POST", path, {**schedule, "end_behavior": "release"})
    scripted.answer("GET", ITS, {**schedule, "end_behavior": "release"})
    await service().endings.resume(ADA, "sub_1", None)
    assert changed(scripted) == [("POST", path, said)]
