"""Checkout sessions one by one, asked of a Stripe that answers what a test has written down."""

import asyncio
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
import structlog

from gateway.billing.checkout.request import CheckoutRequest, Line
from gateway.billing.checkout.sessions import INTENTS, SESSIONS, Sessions, digest_of
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.errors import NotFound, StripeRefused, StripeUnavailable
from gateway.models.checkout import CheckoutIntent
from gateway.models.mirrored import CheckoutSession
from harness.rows import subscription
from harness.waiting import eventually_async

PATH = "/v1/checkout/sessions"
NOW = datetime.now(UTC).replace(microsecond=0)
REQUEST = CheckoutRequest((Line("month"),), idempotency_key="k")
ASKED = {"mode": "payment", "currency": "usd"}


def at_stripe(id: str = "cs_1", **columns) -> dict:
    given = {"object": "checkout.session", "customer": None, "mode": "payment", "ui_mode": "hosted_page"}
    given |= {"status": "open", "payment_status": "unpaid", "created": int(NOW.timestamp())}
    return {"id": id, **given, "expires_at": int(NOW.timestamp()) + 86_400, **columns}


def row(id: str = "cs_1", **columns) -> CheckoutSession:
    given = {"mode": "payment", "ui_mode": "hosted_page", "status": "open", "payment_status": "unpaid", "as_of": 0}
    return CheckoutSession(id=id, **{**given, "created": NOW, "expires_at": NOW, **columns})


def intent(id: str = "intent_1", **columns) -> CheckoutIntent:
    return CheckoutIntent(id=id, **{"scope": "ada", "key": id, "fingerprint": "x", "created": NOW, **columns})


@pytest.fixture
def sessions(mirror, stripe) -> Sessions:
    return Sessions(mirror, stripe)


async def rows(database, table: sa.Table) -> dict[str, dict]:
    found = await database.read(lambda connection: connection.execute(sa.select(table)).mappings().all())
    return {each["id"]: dict(each) for each in found}


async def test_a_session_is_found_as_the_mirror_has_it(sessions, fill):
    await fill(row("cs_1", external_id="ada"))
    assert (await sessions.find("cs_1")).external_id == (await sessions.get("cs_1")).external_id == "ada"
    assert await sessions.find("cs_2") is None
    with pytest.raises(NotFound):
        await sessions.get("cs_2")


COMPLETE = {"status": "complete", "subscription_id": "sub_1"}
BEGUN = {
    "it is open": ({"status": "open", "subscription_id": "sub_1"}, [], True),
    "it has none": ({"status": "complete"}, [], True),
    "it is not here yet": (COMPLETE, [], False),
    "it is not paid yet": (COMPLETE, [subscription(status="incomplete")], False),
    "it is here": (COMPLETE, [subscription()], True),
    "another is": (COMPLETE, [subscription("sub_2")], False),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "given", "begun"), BEGUN.values(), ids=BEGUN)
async def test_whether_the_subscription_of_a_session_is_here(sessions, fill, columns, given, begun):
    await fill(*given)
    assert await sessions.has_begun(row(**columns)) is begun


async def test_every_line_of_a_long_checkout_is_read(mirror, stripe, scripted, database):
    path = f"{PATH}/cs_1"
    first = {"object": "list", "data": [{"id": "li_1"}], "has_more": True, "url": f"{path}/line_items"}
    scripted.answer("GET", path, at_stripe(line_items=first))
    scripted.list(f"{path}/line_items", [{"id": "li_2"}])
    await mirror.refresh(stripe, "checkout.session", "cs_1")
    assert [each["id"] for each in (await rows(database, SESSIONS))["cs_1"]["line_items"]] == ["li_1", "li_2"]


async def test_one_key_of_somebody_is_one_intent(sessions, database):
    first = await sessions.create_intent("ada", REQUEST)
    assert (first.scope, first.key, first.fingerprint) == ("ada", "k", REQUEST.fingerprint)
    assert first.id.startswith("intent_")
    assert abs((first.created - datetime.now(UTC)).total_seconds()) < 60
    other = CheckoutRequest((Line("year"),), idempotency_key="k")
    assert await sessions.create_intent("ada", other) == first, "whoever asks for something else is told so"
    assert (await sessions.create_intent("bob", REQUEST)).id != first.id
    keyless = CheckoutRequest((Line("month"),))
    ids = {(await sessions.create_intent("ada", keyless)).id for _ in range(2)}
    assert len(ids | {first.id}) == 3
    assert await sessions.create_intent("ada", REQUEST) == first, "of many, by the key and whose it is"
    assert len(await rows(database, INTENTS)) == 4


@pytest.mark.parametrize("external_id", ["ada", None])
async def test_a_session_is_opened_with_whose_it_is(sessions, fill, database, scripted, external_id):
    scripted.answer("POST", PATH, at_stripe())
    await fill(intent(), intent("intent_2"), row("cs_0"))
    opened = await sessions.open(intent(), ASKED, external_id)
    assert (opened.id, opened.external_id, opened.guest) == ("cs_1", external_id, external_id is None)
    assert scripted.calls == [("POST", PATH, ASKED)]
    assert scripted.keys == [f"intent_1-{digest_of(ASKED)[:16]}"]
    stored = await rows(database, INTENTS)
    assert (stored["intent_1"]["session_id"], stored["intent_1"]["parameters_digest"]) == ("cs_1", digest_of(ASKED))
    assert stored["intent_2"]["session_id"] is None
    other = (await rows(database, SESSIONS))["cs_0"]
    assert (other["external_id"], other["guest"]) == (None, False)


async def test_what_stripe_refuses_is_not_written_down(sessions, fill, database, scripted):
    scripted.refuse("POST", PATH, "parameter_invalid")
    await fill(intent())
    with pytest.raises(StripeRefused):
        await sessions.open(intent(), ASKED, "ada")
    assert await rows(database, SESSIONS) == {}


async def agree() -> dict:
    return ASKED


SAME = digest_of(ASKED)
REUSED = {
    "the same is given again": ("open", SAME, "cs_1", [("GET", f"{PATH}/cs_1")]),
    "one that has expired is not": ("expired", SAME, "cs_2", [("GET", f"{PATH}/cs_1"), ("POST", PATH)]),
    "one that offers something else is closed": (
        "expired",
        "other",
        "cs_2",
        [("POST", f"{PATH}/cs_1/expire"), ("POST", PATH)],
    ),
    "of which nothing is known": ("expired", None, "cs_2", [("POST", f"{PATH}/cs_1/expire"), ("POST", PATH)]),
}


@pytest.mark.parametrize(("status", "known", "given", "calls"), REUSED.values(), ids=REUSED)
async def test_an_open_one_is_given_again_or_closed(sessions, fill, database, scripted, status, known, given, calls):
    scripted.answer("GET", f"{PATH}/cs_1", at_stripe(status=status))
    scripted.answer("POST", f"{PATH}/cs_1/expire", at_stripe(status=status))
    scripted.answer("POST", PATH, at_stripe("cs_2"))
    await fill(row(external_id="ada"), intent())
    found = await sessions.open_or_reuse(intent(), ASKED, "ada", {"cs_1": known}, agree)
    assert (found.id, found.external_id) == (given, "ada")
    assert sorted(call[:2] for call in scripted.calls) == sorted(calls)
    stored = (await rows(database, INTENTS))["intent_1"]
    assert (stored["session_id"], stored["parameters_digest"]) == (given, SAME)


@pytest.mark.parametrize("known", [SAME, "other"])
async def test_one_that_was_just_paid_is_told(sessions, fill, scripted, known):
    paid = at_stripe(status="complete", payment_status="paid")
    scripted.answer("GET", f"{PATH}/cs_1", paid)
    scripted.refuse("POST", f"{PATH}/cs_1/expire", "resource_already_expired")
    scripted.answer("POST", PATH, at_stripe("cs_2"))
    scripted.answer("POST", f"{PATH}/cs_2/expire", at_stripe("cs_2", status="expired"))
    await fill(row(external_id="ada"), intent())
    with pytest.raises(Rejected) as rejected:
        await sessions.open_or_reuse(intent(), ASKED, "ada", {"cs_1": known}, agree)
    assert [problem.code.name for problem in rejected.value.problems] == ["EARLIER_SESSION_PAID"]
    assert (rejected.value.current.id, rejected.value.current.status) == ("cs_1", "complete")
    closed = {("POST", f"{PATH}/cs_2/expire")} & {call[:2] for call in scripted.calls}
    assert len(closed) == (known != SAME), "what was opened beside is closed, where anything was"


async def test_one_that_is_gone_at_stripe_is_not_given(sessions, fill, scripted):
    scripted.refuse("GET", f"{PATH}/cs_1", "resource_missing", status=404)
    scripted.answer("POST", PATH, at_stripe("cs_2"))
    await fill(row(external_id="ada"), intent())
    assert (await sessions.open_or_reuse(intent(), ASKED, "ada", {"cs_1": SAME}, agree)).id == "cs_2"
    assert (await sessions.get("cs_1")).deleted


async def refuse() -> dict:
    raise Rejected(Problem(ProblemCode.ALREADY_SUBSCRIBED, "no"))


async def fail() -> dict:
    raise StripeUnavailable("no")


AGAINST = {"a refusal": (refuse, Rejected), "Stripe's absence": (fail, StripeUnavailable)}


@pytest.mark.parametrize("closes", [True, False])
@pytest.mark.parametrize(("confirm", "error"), AGAINST.values(), ids=AGAINST)
async def test_what_must_not_be_given_is_closed(sessions, fill, database, scripted, confirm, error, closes):
    scripted.answer("POST", PATH, at_stripe("cs_2"))
    if closes:
        scripted.answer("POST", f"{PATH}/cs_2/expire", at_stripe("cs_2", status="expired"))
    await fill(intent())
    with pytest.raises(error):
        await sessions.open_or_reuse(given := intent(), ASKED, "ada", {}, confirm)
    assert ("POST", f"{PATH}/cs_2/expire") in [call[:2] for call in scripted.calls]
    stored = await sessions.get("cs_2")
    assert (stored.status, stored.external_id) == ("expired" if closes else "open", "ada")
    assert await sessions.open_of("ada") == ({} if closes else {"cs_2": None}), "the next checkout closes it"
    (renewed,) = (await rows(database, INTENTS)).values()
    assert (renewed["id"], renewed["key"], renewed["session_id"]) == (given.id, "intent_1", None)
    assert given.id != "intent_1", "its key at Stripe would bring the closed session again"


async def test_what_is_right_by_now_is_opened_instead(sessions, fill, scripted):
    scripted.answer("POST", PATH, at_stripe("cs_2"))
    scripted.answer("POST", PATH, at_stripe("cs_3"))
    scripted.answer("POST", f"{PATH}/cs_2/expire", {"error": {"type": "api_error", "message": "no"}}, status=500)
    for name in ("cs_1", "cs_2"):
        scripted.answer("POST", f"{PATH}/{name}/expire", at_stripe(name, status="expired"))
    scripted.answer("GET", f"{PATH}/cs_1", at_stripe())
    await fill(row(external_id="ada"), intent("intent_0", session_id="cs_1", parameters_digest="other"), intent())
    offered = {**ASKED, "subscription_data": {"trial_period_days": 14}}
    found = await sessions.open_or_reuse(intent(), offered, "ada", {"cs_1": "other"}, agree)
    assert (found.id, await sessions.open_of("ada")) == ("cs_3", {"cs_3": SAME})
    opened = [sent for method, path, sent in scripted.calls if (method, path) == ("POST", PATH)]
    assert [len(sent) for sent in opened] == [3, 2]
    closed = await sessions.get("cs_2")  # which could not be closed at once, and is the user's
    assert (closed.status, closed.external_id) == ("expired", "ada")


async def test_who_goes_away_meanwhile_leaves_nothing_open(sessions, fill, scripted):
    scripted.answer("POST", PATH, at_stripe("cs_2"))
    scripted.answer("POST", f"{PATH}/cs_2/expire", at_stripe("cs_2", status="expired"))
    await fill(intent())
    asked = asyncio.Event()

    async def never() -> dict:
        asked.set()
        return await asyncio.Future()

    asking = asyncio.create_task(sessions.open_or_reuse(intent(), ASKED, "ada", {}, never))
    await asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (await sessions.get("cs_2")).status == "expired"


async def test_the_open_sessions_of_a_user(sessions, fill):
    await fill(row("cs_1", external_id="ada"), row("cs_2", external_id="ada"), row("cs_3", external_id="bob"))
    await fill(row("cs_4", external_id="ada", status="complete"), row("cs_5", external_id="ada", deleted=True))
    await fill(intent(session_id="cs_1", parameters_digest="d"))
    assert await sessions.open_of("ada") == {"cs_1": "d", "cs_2": None}
    assert await sessions.open_of("eve") == {}


async def test_a_session_is_closed(sessions, fill, scripted):
    scripted.answer("POST", f"{PATH}/cs_1/expire", at_stripe(status="expired"))
    await fill(row())
    assert (await sessions.expire("cs_1")).status == "expired"
    assert scripted.keys == ["expire-cs_1"]


@pytest.mark.parametrize("status", [400, 404])
async def test_one_that_cannot_be_closed_is_read(sessions, fill, scripted, status):
    scripted.refuse("POST", f"{PATH}/cs_1/expire", "x", status=status)
    scripted.answer("GET", f"{PATH}/cs_1", at_stripe(status="complete"))
    await fill(row())
    assert (await sessions.expire("cs_1")).status == "complete"


async def test_readings_of_one_second_are_shared(sessions, fill, scripted):
    scripted.answer("GET", f"{PATH}/cs_1", at_stripe(status="complete"))
    scripted.answer("GET", f"{PATH}/cs_2", at_stripe("cs_2"))
    await fill(row(), row("cs_2"))
    await asyncio.gather(*(sessions.refresh_throttled(name, "open") for name in ("cs_1", "cs_1", "cs_2")))
    await sessions.refresh_throttled("cs_1", "open")
    assert sorted(call[1][-4:] for call in scripted.calls) == ["cs_1", "cs_2"]
    assert (await sessions.get("cs_1")).status == "complete"
    await sessions.refresh_throttled("cs_1", "complete")  # since that reading it has become complete
    assert [call[1][-4:] for call in scripted.calls].count("cs_1") == 2


async def test_after_the_pause_it_is_read_again(mirror, stripe, fill, scripted):
    sessions = Sessions(mirror, stripe, refresh_pause_seconds=0)
    scripted.answer("GET", f"{PATH}/cs_1", at_stripe())
    await fill(row())

    async def readings() -> int:
        await sessions.refresh_throttled("cs_1", "open")
        return len(scripted.calls)

    assert await readings() == 1
    await eventually_async(readings, 2, 20)


async def test_a_reading_that_fails_is_borne(sessions, fill, scripted):
    scripted.answer("GET", f"{PATH}/cs_1", {"error": {"type": "api_error", "message": "no"}}, status=500)
    await fill(row())
    with structlog.testing.capture_logs() as logs:
        await sessions.refresh_throttled("cs_1", "open")
    assert [(each["event"], each["session"], each["error"] != "None") for each in logs if "session" in each] == [
        ("checkout.refresh_failed", "cs_1", True)
    ]
    with pytest.raises(StripeUnavailable):
        await sessions.read("cs_1")


def test_a_digest_is_of_what_is_asked():
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})


async def test_all_open_ones_of_a_user_are_closed(sessions, scripted, fill, database):
    await fill(row("cs_1", external_id="ada"), row("cs_2", external_id="ada"))
    await fill(row("cs_3", external_id="bob"), row("cs_4", external_id="ada", status="complete"))
    for name in ("cs_1", "cs_2"):
        scripted.answer("POST", f"{PATH}/{name}/expire", at_stripe(name, status="expired"))
    await sessions.close_all("ada")
    assert sorted(call[1] for call in scripted.calls) == [f"{PATH}/cs_{n}/expire" for n in (1, 2)]
    scripted.answer("POST", f"{PATH}/cs_3/expire", {"error": {"type": "api_error", "message": "no"}}, status=500)
    with pytest.raises(StripeUnavailable):
        await sessions.close_all("bob")
