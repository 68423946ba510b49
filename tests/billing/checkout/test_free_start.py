"""What is started without a card, asked of a Stripe that is scripted: for whom, and by which policies.

What Stripe previews decides what is free; the lives of what was started are told by `test_free.py`.
"""

import asyncio

import pytest

from gateway.auth.principal import ANONYMOUS, SERVICE, Principal
from gateway.billing.catalog.service import Catalog
from gateway.billing.checkout.free import KEY, FreeStart
from gateway.billing.checkout.request import CheckoutRequest, Line
from gateway.billing.customers.service import Customers
from gateway.db.locks import user_lock
from gateway.errors import Forbidden, StripeUnavailable, Unauthenticated
from gateway.models.checkout import CustomerClaim
from gateway.models.mirrored import Discount
from gateway.settings import Settings
from harness.databases import waiters
from harness.rejected import codes
from harness.rows import NOW, customer, item, price, product, subscription
from harness.stripe_objects import theirs

ADA = Principal(subject="ada", email="ada@example.com", email_verified=True)
PATH, PREVIEW, CODES = "/v1/subscriptions", "/v1/invoices/create_preview", "/v1/promotion_codes"
TRIAL = {"trial_period_days": "14", "trial_settings[end_behavior][missing_payment_method]": "pause"}
HOW = {"payment_behavior": "error_if_incomplete"}
HOW |= {
    f"expand[{place}]": name for place, name in enumerate(("latest_invoice", "discounts", "discounts.source.coupon"))
}
NEEDED = [("CHECKOUT_NEEDED", "lineItems")]
CLAIM = {"external_id": "ada", "generation": 1, "customer_id": "cus_1", "created": NOW}


def ask(*lines: str | Line, **asked) -> CheckoutRequest:
    return CheckoutRequest(tuple(each if isinstance(each, Line) else Line(each) for each in lines), **asked)


@pytest.fixture
async def start(database, mirror, stripe, fill, scripted):
    """Ada is a customer; makes the service, which notes whose open checkouts it has closed."""
    await fill(
        product("basic"), price("nothing", "basic", 0), price("cheap", "basic", 100, currency_options={"eur": {}})
    )
    await fill(product("pro"), price("trial", "pro", trial_period_days=14))
    await fill(
        product("packs"), price("pack", "packs", 500, interval=None), price("use", "packs", 1, usage_type="metered")
    )
    await fill(
        customer(external_id="ada", meta={"external_id": "ada"}, email="ada@example.com"), CustomerClaim(**CLAIM)
    )
    scripted.list(PATH, [])
    scripted.answer("POST", PATH, theirs())
    scripted.answer("POST", PREVIEW, {"id": "upcoming_in_1", "object": "invoice", "amount_due": 0})

    def make(**settings) -> FreeStart:
        given = {"stripe_secret_key": "sk_test_tests", "stripe_api_base": scripted.url, "free_without_card": True}
        chosen = Settings.load(**given | settings)
        customers, catalog = Customers(chosen, mirror, stripe), Catalog(chosen, database)
        made = FreeStart(chosen, mirror, stripe, catalog, customers, close_checkouts=close)
        made.closed = closed
        return made

    closed: list[str] = []

    async def close(external_id: str) -> None:
        closed.append(external_id)

    return make


def written(scripted, path: str = PATH) -> list[dict]:
    return [call[2] for call in scripted.calls if call[:2] == ("POST", path)]


STARTED = {
    "a free plan": (ask("nothing"), {"items[0][price]": "nothing", "items[0][quantity]": "1"}, True),
    "several of it": (
        ask(Line("nothing", quantity=3)), {"items[0][price]": "nothing", "items[0][quantity]": "3"}, True,
    ),
    "in another currency": (
        ask("cheap", currency="eur"),
        {"items[0][price]": "cheap", "items[0][quantity]": "1", "currency": "eur"}, True,
    ),
    "a trial": (ask("trial"), {"items[0][price]": "trial", "items[0][quantity]": "1", **TRIAL}, False),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "sent", "previewed"), STARTED.values(), ids=STARTED)
async def test_what_costs_nothing_is_started_as_stripe_previews_it(start, scripted, request_, sent, previewed):
    made = start()
    state = await made.start(ADA, request_)
    assert (state.subscription.id, state.subscription.status, made.closed) == ("sub_1", "active", ["ada"])
    (params,) = written(scripted)
    key = params.pop(f"metadata[{KEY}]")
    assert params == {"customer": "cus_1", **HOW, **sent}
    assert scripted.keys[-1] == key
    assert None not in scripted.keys
    assert key.startswith("start-") or len(key) > 20
    items = {
        f"subscription_details[{name.replace('[', '][', 1)}": text for name, text in sent.items() if "items" in name
    }
    more = {name: text for name, text in sent.items() if name == "currency"}
    assert written(scripted, PREVIEW) == ([{"customer": "cus_1", **items, **more}] if previewed else [])
    assert [call[2] for call in scripted.calls if call[:2] == ("GET", PATH)] == [
        {"customer": "cus_1", "status": "all", "limit": "100"}
    ]


async def test_a_key_starts_one_and_another_another(start, scripted):
    made = start()
    for key in ("k", None):
        scripted.forget("POST", PATH)
        await begun(made, scripted, key)
    first, *others = (params[f"metadata[{KEY}]"] for params in written(scripted))
    assert first.startswith("start-")
    scripted.forget("POST", PATH)
    again = await made.start(ADA, ask("nothing", idempotency_key="k"))
    assert (again.subscription.meta[KEY], len({first, *others})) == (first, len(written(scripted)))


async def begun(made: FreeStart, scripted, key: str | None) -> None:
    """What Stripe starts carries the key that it was told; it is ended before the next one begins."""
    scripted.meanwhile["POST", PATH] = lambda: scripted.answer("POST", PATH, ended(scripted))
    await made.start(ADA, ask("nothing", idempotency_key=key))


def ended(scripted) -> dict:
    previous_key = scripted.calls[-1][2][f"metadata[{KEY}]"]
    return {**theirs(status="canceled", metadata={KEY: previous_key}), "id": f"sub_{previous_key[-6:]}"}


REFUSED = {
    "it costs something": (ask("cheap"), [], {}, NEEDED),
    "where nothing is free without a card": (ask("nothing"), [], {"free_without_card": False}, NEEDED),
    "a pack beside it": (ask("nothing", "pack"), [], {}, NEEDED),
    "a metered plan beside it": (ask("nothing", "use"), [], {}, NEEDED),
    "a second trial": (ask("trial"), [subscription("sub_0", "canceled", trial_start=NOW)], {}, NEEDED),
    "it is there": (
        ask("nothing"), [subscription("sub_0"), item("si_0", "nothing", "basic", subscription_id="sub_0")], {},
        [("ALREADY_SUBSCRIBED", "lineItems.0")],
    ),
    "too many": (
        ask(Line("nothing", quantity=3)), [], {"max_quantity": 2}, [("QUANTITY_INVALID", "lineItems.0.quantity")],
    ),
    "no key": (ask("nothing", idempotency_key=""), [], {}, [("IDEMPOTENCY_KEY_INVALID", "idempotencyKey")]),
    "the coupon was had": (
        ask("cheap", promotion_code="GIFT"), [Discount(id="di_0", customer_id="cus_1", coupon_id="gift", as_of=0)], {},
        [("PROMOTION_CODE_INVALID", "promotionCode")],
    ),
    "no such code": (ask("cheap", promotion_code="OTHER"), [], {}, [("PROMOTION_CODE_INVALID", "promotionCode")]),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "rows", "settings", "expected"), REFUSED.values(), ids=REFUSED)
async def test_what_is_not_started(start, scripted, fill, request_, rows, settings, expected):
    await fill(*(type(row)(**row.model_dump()) for row in rows))
    scripted.forget("POST", PREVIEW)
    due = int(request_.lines[0].price_id != "nothing")
    scripted.answer("POST", PREVIEW, {"id": "upcoming_in_1", "object": "invoice", "amount_due": due})
    scripted.list(CODES, [GIFT] if request_.promotion_code == "GIFT" else [])
    assert await codes(start(**settings).start(ADA, request_)) == expected
    assert written(scripted) == []


GIFT = {"id": "promo_1", "customer": None, "promotion": {"type": "coupon", "coupon": "gift"}}
POLICIES = {
    "several are allowed": (
        ask("nothing"), [subscription("sub_0"), item("si_0", "nothing", "basic", subscription_id="sub_0")],
        {"allow_multiple_subscriptions": True}, {},
    ),
    "a trial each time": (
        ask("trial"), [subscription("sub_0", "canceled", trial_start=NOW)], {"allow_repeat_trials": True}, TRIAL,
    ),
    "a second trial that costs nothing all the same": (
        ask("trial"), [subscription("sub_0", "canceled", trial_start=NOW)], {}, {},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "rows", "settings", "sent"), POLICIES.values(), ids=POLICIES)
async def test_the_policies_of_a_checkout_are_those_of_a_start(start, scripted, fill, request_, rows, settings, sent):
    await fill(*(type(row)(**row.model_dump()) for row in rows))
    await start(**settings).start(ADA, request_)
    (told,) = written(scripted)
    assert {name: told[name] for name in told if name.startswith("trial")} == sent


async def test_two_starts_of_one_user_are_one_after_the_other(start, database, scripted):
    async with user_lock(database, "owner:ada"):
        starting = asyncio.create_task(start().start(ADA, ask("nothing")))
        await waiters(database, "owner:ada")
        assert scripted.calls == []
    assert (await starting).subscription.id == "sub_1"


async def test_a_code_makes_it_free(start, scripted):
    scripted.list(CODES, [{**GIFT, "id": "promo_0", "customer": "cus_2"}, {**GIFT, "customer": "cus_1"}])
    await start().start(ADA, ask("cheap", promotion_code="GIFT"))
    for path in (PATH, PREVIEW):
        assert [told["discounts[0][promotion_code]"] for told in written(scripted, path)] == ["promo_1"]


@pytest.mark.parametrize(("proved", "had"), [(True, True), (False, False)])
async def test_whoever_has_had_a_trial_with_the_verified_address_has_no_other(start, scripted, fill, proved, had):
    await fill(customer("cus_2", email="ada@example.com", email_lower="ada@example.com"))
    await fill(subscription("sub_0", "canceled", customer_id="cus_2", trial_start=NOW))
    await start().start(Principal(subject="ada", email="ada@example.com", email_verified=proved), ask("trial"))
    assert ("trial_period_days" in written(scripted)[0]) is not had


async def test_a_card_that_is_not_proved_to_be_the_users_pays_nothing_later(start, scripted, fill):
    columns = {"payer_unverified": True, "default_payment_method_id": "pm_1", "meta": {"external_id": "bob"}}
    await fill(customer("cus_2", "bob", **columns))
    scripted.list("/v1/customers/cus_2/payment_methods", [])
    assert await codes(start().start(Principal(subject="bob"), ask("nothing"))) == [("PAYMENT_METHOD_NEEDED", None)]
    assert written(scripted) == []


async def test_for_whom_it_is(start, scripted):
    made = start()
    for who, asked, error in (
        (ANONYMOUS, {}, Unauthenticated), (SERVICE, {}, Unauthenticated), (ADA, {"external_id": "bob"}, Forbidden),
    ):  # fmt: skip
        with pytest.raises(error):
            await made.start(who, ask("nothing", **asked))
    assert scripted.calls == []
    await made.start(SERVICE, ask("nothing", external_id="ada"))
    assert (written(scripted)[0]["customer"], made.closed) == ("cus_1", ["ada"])


@pytest.mark.parametrize("path", [PATH, PREVIEW])
async def test_what_stripe_refuses_is_told(start, scripted, path):
    scripted.forget("POST", path)
    scripted.refuse("POST", path, "no")
    assert await codes(start().start(ADA, ask("nothing"))) == [("STRIPE_REFUSED", None)]


async def test_what_stripe_alone_knows_excludes_too(start, scripted):
    """The webhook has not told of it yet."""
    there = theirs()
    there["items"]["data"][0]["price"] = {"id": "nothing", "product": "basic"}
    scripted.forget("GET", PATH)
    scripted.list(PATH, [there])
    scripted.answer("GET", f"{PATH}/sub_1", there)
    assert await codes(start().start(ADA, ask("nothing"))) == [("ALREADY_SUBSCRIBED", "lineItems.0")]
    scripted.forget("GET", PATH)
    with pytest.raises(StripeUnavailable):
        await start().start(ADA, ask("nothing"))
    assert written(scripted) == []
