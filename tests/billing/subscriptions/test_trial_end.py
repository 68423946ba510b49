"""A change in a trial: what has no trial of its own is paid at once, and nothing makes a trial longer."""

from datetime import datetime

import pytest

from gateway.billing.subscriptions.trial_end import (
    RISEN,
    card_missing,
    ends_unpaid,
    over_since,
    trial_after,
    trial_marks,
    trial_of,
    trial_parameters,
)
from harness.databases import postgres_later
from harness.gateway import make_world
from harness.rows import NOW, at, item, price, product, snapshot, state
from harness.subscriptions import customer, price_id, settled, subscribe

DAY = 86_400
CATALOG = snapshot(
    product("pro"),
    price("month", "pro", trial_period_days=14),
    price("year", "pro", interval="year", trial_period_days=14),
    price("long", "pro", trial_period_days=30),
    price("week", "pro", trial_period_days=7),
    price("three", "pro", trial_period_days=3),
    price("untried", "pro"),
    price("zero", "pro", trial_period_days=0),
    price("day", "pro", trial_period_days=1),
)


def trying(*, price_id: str = "month", quantity: int = 1, status: str = "trialing", end: float | None = 11, **columns):
    """Three days into a trial."""
    given = {"trial_start": at(-3), "trial_end": None if end is None else at(end), **columns}
    return state(item("si_1", price_id, "pro", quantity), status=status, **given)


@pytest.mark.parametrize(
    ("present", "coming", "days"),
    [
        (trying(), ["year"], 11),
        (trying(), ["long"], 11),  # nothing prolongs it
        (trying(), ["week"], 4),  # seven days since it began
        (trying(), ["three"], None),  # used up this moment
        (trying(), ["untried"], None),
        (trying(), ["zero"], None),
        (trying(), ["long", "week"], 4),
        (trying(), ["long", "untried"], None),
        (trying(), [None], 11),  # an item goes
        (trying(), ["month"], 11),  # another quantity
        (trying(price_id="untried"), ["untried"], 11),
        (trying(price_id="gone"), ["week"], 4),
        (trying(trial_start=None, created=at(-1)), ["week"], 6),
        (trying(trial_start=at(-0.5)), ["day"], 0.5),
        (trying(trial_start=at(-0.5)), ["untried"], None),
        (trying(end=0), ["month"], None),
        (trying(status="active"), ["week"], None),
        (trying(end=None), ["week"], None),
    ],
)
def test_when_a_trial_ends_after_a_change(present, coming, days):
    targets = [{"price": each} if each else {"id": "si_1", "deleted": True} for each in coming]
    assert trial_after(present, targets, CATALOG, NOW) == (None if days is None else at(days))


SOLD = snapshot(
    product("pro"), product("big"), product("small"), product("calls"),
    price("month", "pro", unit_amount=2900),
    price("year", "pro", unit_amount=29_000, interval="year"),
    price("week", "pro", unit_amount=1000, interval="week"),
    price("tried", "pro", unit_amount=2900, trial_period_days=14),
    price("bigger", "big", unit_amount=2901),
    price("tried bigger", "big", unit_amount=9900, trial_period_days=7),
    price("tried smaller", "small", unit_amount=900, trial_period_days=1),
    price("as dear", "big", unit_amount=2900),
    price("smaller", "small", unit_amount=900),
    price("metered", "pro", unit_amount=1, usage_type="metered"),
    price("call", "calls", unit_amount=1, usage_type="metered"),
    price("free", "small", unit_amount=0),
    price("cent", "small", unit_amount=1, interval="year"),
    price("export", "small", unit_amount=900, currency_options={"eur": {"unit_amount": 9900}}),
)  # fmt: skip
ITEM = {"id": "si_1", "quantity": 1}
HOUR = 1 / 24
"""In days; so much more than the catalogue gives is no gift yet."""


def nothing(**columns):
    """A trial of nothing yet."""
    return state(status="trialing", **columns)


@pytest.mark.parametrize(
    ("present", "targets", "days"),
    [
        (trying(), [{**ITEM, "price": "year"}], 11),  # of the same product, in any interval
        (trying(), [{**ITEM, "price": "week"}], 11),
        (trying(), [{**ITEM, "price": "week", "quantity": 2}], None),  # more of it
        (trying(), [{**ITEM, "price": "as dear"}], 11),
        (trying(), [{**ITEM, "price": "smaller", "quantity": 3}], 11),
        (trying(), [{**ITEM, "price": "smaller", "quantity": 4}], None),
        (trying(), [{**ITEM, "price": "bigger"}], None),
        (trying(), [{**ITEM, "price": "tried bigger"}], 4),
        (trying(), [{**ITEM, "price": "tried smaller"}], 11),
        (trying(), [{"id": "si_1", "price": "metered"}], None),  # nobody knows what it costs
        (trying(), [{"price": "smaller", "quantity": 1}], None),  # beside what there is
        (trying(), [{"price": "call"}], None),
        (trying(end=0), [{**ITEM, "price": "smaller"}], None),
        (trying(price_id="tried"), [{**ITEM, "price": "smaller"}], None),  # the catalogue's own trial, of 14 days
        (trying(price_id="tried", end=12), [{**ITEM, "price": "smaller"}], 12),  # which the seller has made longer
        (trying(price_id="tried", end=11 + HOUR), [{**ITEM, "price": "smaller"}], None),  # the catalogue's still
        (trying(price_id="tried", end=11 + 1.5 * HOUR), [{**ITEM, "price": "smaller"}], 11 + 1.5 * HOUR),
        (
            trying(trial_start=at(-0.5), end=0.3),
            [{**ITEM, "price": "smaller"}],
            0.3,
        ),  # shorter than any of the catalogue
        (nothing(trial_start=at(-0.5), trial_end=at(0.3)), [{"price": "free", "quantity": 1}], 0.3),
        (trying(price_id="gone"), [{**ITEM, "price": "smaller"}], None),
        (trying(), [{"id": "si_1", "deleted": True}], 11),
        (trying(price_id="free"), [{"id": "si_1", "deleted": True}], 11),
        (trying(), [{"price": "cent", "quantity": 1}], None),
        (trying(), [{"id": "si_1", "price": "as dear"}], 11),  # one of it
        (trying(), [{"id": "si_1", "price": "week"}], 11),
        (trying(quantity=3), [{**ITEM, "price": "week", "quantity": 2}], 11),
        (trying(quantity=3), [{**ITEM, "price": "week", "quantity": 3}], 11),
        (trying(quantity=3), [{**ITEM, "price": "as dear", "quantity": 3}], 11),
        (trying(quantity=0), [{**ITEM, "price": "as dear", "quantity": 2}], None),
        (trying(quantity=0), [{**ITEM, "price": "week", "quantity": 2}], None),
        (trying(currency="eur"), [{**ITEM, "price": "export"}], None),  # where it costs more
        (trying(currency="eur", price_id="export"), [{**ITEM, "price": "bigger"}], 11),
    ],
)
def test_a_trial_that_the_seller_gave_goes_on_with_what_is_no_more(present, targets, days):
    assert trial_after(present, targets, SOLD, NOW) == (None if days is None else at(days))


def dearer(by: str, price_id: str = "week"):
    return trying(price_id=price_id, meta={RISEN: by})


@pytest.mark.parametrize(
    ("present", "targets", "days", "mark"),
    [
        (trying(), [{**ITEM, "price": "week"}], 11, "121400/7"),
        (trying(), [{**ITEM, "price": "year"}], 11, None),  # nothing becomes less than nothing
        (dearer("121400/7"), [{**ITEM, "price": "as dear"}], 11, ""),
        (dearer("121400/7"), [{**ITEM, "price": "bigger"}], None, None),  # 12 minor units a year more than was given
        (dearer("121400/7"), [{**ITEM, "price": "month"}], 11, ""),
        (dearer("121400/7"), [{**ITEM, "price": "year"}], 11, ""),
        (dearer("121400/7", "month"), [{**ITEM, "price": "week"}], 11, "242800/7"),
        (dearer("121400/7", "month"), [{**ITEM, "price": "as dear"}], None, None),
        (dearer("121400/7"), [{"id": "si_1", "deleted": True}], 11, ""),
        (dearer("121400/7", "month"), [{"id": "si_1", "deleted": True}], 11, ""),
        (dearer("100", "free"), [{"id": "si_1", "deleted": True}], 11, None),
        (dearer("1/7", "month"), [{**ITEM, "price": "as dear"}], None, None),
        (dearer("-9", "month"), [{**ITEM, "price": "bigger"}], None, None),
        (dearer("1/0", "month"), [{**ITEM, "price": "as dear"}], 11, None),
        (dearer("much", "month"), [{**ITEM, "price": "as dear"}], 11, None),
        (
            dearer("1e999999999", "month"),
            [{**ITEM, "price": "as dear"}],
            11,
            None,
        ),  # written out it would fill the memory
        (trying(price_id="tried"), [{**ITEM, "price": "month"}], None, None),  # the catalogue's own trial
        (trying(status="active"), [{**ITEM, "price": "week"}], None, None),
    ],
)
def test_a_dearer_price_of_the_same_product_is_no_measure_for_another_product(present, targets, days, mark):
    end = trial_after(present, targets, SOLD, NOW)
    assert end == (None if days is None else at(days))
    assert trial_marks(present, targets, SOLD, end) == ({} if mark is None else {"metadata": {RISEN: mark}})


@pytest.mark.parametrize(
    ("present", "end", "expected"),
    [
        (trying(), at(11), {}),
        (trying(), at(4), {"trial_end": int(at(4).timestamp())}),
        (trying(), None, {"trial_end": "now"}),
        (trying(status="active"), None, {}),
    ],
)
def test_what_stripe_is_told_of_a_trial(present, end, expected):
    assert trial_parameters(present, end) == expected
    assert trial_of(present) == (at(11) if present.subscription.status == "trialing" else None)


def test_a_quote_of_before_the_end_of_a_trial_is_over():
    assert over_since(None) is None
    problem = over_since(NOW)
    assert (problem.code.name, problem.field) == ("PREVIEW_EXPIRED", "prorationDate")


@pytest.mark.parametrize(
    ("columns", "ends"),
    [
        ({}, False),
        ({"trial_settings": None}, False),
        ({"trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}}}, False),
        ({"trial_settings": {"end_behavior": {"missing_payment_method": "pause"}}}, True),
        ({"trial_settings": {"end_behavior": {"missing_payment_method": "cancel"}}, "default_source": "card"}, False),
        (
            {"trial_settings": {"end_behavior": {"missing_payment_method": "cancel"}}, "default_payment_method": 1},
            False,
        ),
    ],
)
def test_whether_the_end_of_a_trial_pauses_what_nothing_pays(columns, ends):
    assert ends_unpaid(columns) is ends


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"invoice_settings": {"default_payment_method": "pm_1"}, "default_source": None}, None),
        ({"invoice_settings": {"default_payment_method": None}, "default_source": "card_1"}, None),
        ({"invoice_settings": None}, "PAYMENT_METHOD_NEEDED"),
        ({}, "PAYMENT_METHOD_NEEDED"),
    ],
)
def test_what_pays_after_a_trial(columns, code):
    problem = card_missing(columns)
    assert (problem and (problem.code.name, problem.field)) == (code and (code, "subscriptionId"))


ITEMS = "$items: [SubscriptionItemChangeInput!]"
QUOTE = f"""query($subscriptionId: ID!, $priceId: ID, {ITEMS}) {{ viewer {{
    previewChange(subscriptionId: $subscriptionId, priceId: $priceId, items: $items) {{
    dueNow {{ amount }} dueAtRenewal {{ amount }} renewsAt trialEnd prorationDate }} }} }}"""
CHANGE = """mutation($input: ChangeSubscriptionInput!) { changeSubscription(input: $input) {
    subscription { id status trialEnd plan { id } currentPeriodEnd pendingChange { at } confirmation { url } }
    invoice { total { amount } status } userErrors { code field } } }"""
PLANS = "{ pricing { products { plans { id viewer { action trialEnd } } } } }"


@pytest.fixture
def ann(world) -> dict:
    return world.token("ann")


@pytest.fixture
def trial(world, ann) -> dict:
    """Ann's trial of Pro for 14 days, three days old."""
    bought = subscribe(world, customer(world, "ann"), "pro_monthly", trial_period_days=14)
    pass_days(world, 3)
    return bought


def pass_days(world, days: float) -> None:
    world.advance(to=world.sandbox.now() + int(days * DAY))


def quoted(world, me, its: dict, price: str | None = None, items=None) -> dict:
    return world.data(QUOTE, {"subscriptionId": its["id"], "priceId": price, "items": items}, me)["viewer"][
        "previewChange"
    ]


def changed(world, me, its: dict, **given) -> dict:
    return world.data(CHANGE, {"input": {"subscriptionId": its["id"], **given}}, me)["changeSubscription"]


def offered(world, me, price: str) -> dict:
    products = world.data(PLANS, headers=me)["pricing"]["products"]
    return next(plan["viewer"] for each in products for plan in each["plans"] if plan["id"] == price)


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def plan(world, days: int, amount: int = 7000) -> str:
    """A plan of Pro with a trial of so many days."""
    pro = world.stripe("GET", f"/v1/prices/{price_id(world, 'pro_monthly')}")["product"]
    recurring = {"recurring[interval]": "month", "recurring[trial_period_days]": days}
    made = world.stripe("POST", "/v1/prices", product=pro, currency="usd", unit_amount=amount, **recurring)["id"]
    world.eventually(lambda: world.rows("price", id=made))
    return made


@postgres_later
def test_a_plan_without_a_trial_is_paid_at_once_as_quoted(world, ann, trial):
    business = price_id(world, "business_monthly")
    waiting = changed(world, ann, trial, priceId=price_id(world, "starter_monthly"), when="AT_PERIOD_END")
    assert waiting["subscription"]["pendingChange"]
    assert offered(world, ann, business) == {"action": "UPGRADE", "trialEnd": None}
    quote = quoted(world, ann, trial, business)
    assert (quote["dueNow"]["amount"], quote["dueAtRenewal"]["amount"], quote["trialEnd"]) == (19900, 19900, None)
    assert seconds(quote["renewsAt"]) > seconds(quote["prorationDate"]) + 27 * DAY
    done = changed(world, ann, trial, priceId=business, prorationDate=quote["prorationDate"])
    assert (done["userErrors"], done["invoice"]) == ([], {"total": {"amount": 19900}, "status": "PAID"})
    its = done["subscription"]
    assert (its["status"], its["plan"]["id"], its["pendingChange"]) == ("ACTIVE", business, None)
    later = seconds(its["currentPeriodEnd"]) - seconds(quote["renewsAt"])  # the period begins as it is changed
    assert 0 <= later <= world.sandbox.now() - seconds(quote["prorationDate"])
    assert settled(world, trial["id"])["trial_end"] <= world.sandbox.now()
    back = quoted(world, ann, trial, price_id(world, "pro_monthly"))  # that had a trial: there is none any more
    assert (back["trialEnd"], offered(world, ann, price_id(world, "pro_monthly"))["trialEnd"]) == (None, None)


def test_a_plan_with_as_long_a_trial_goes_on_with_it_and_a_shorter_one_shortens_it(world, ann, trial):
    yearly, short = price_id(world, "pro_yearly"), plan(world, days=7)
    assert seconds(offered(world, ann, yearly)["trialEnd"]) == trial["trial_end"]
    quote = quoted(world, ann, trial, yearly)
    assert (quote["dueNow"]["amount"], seconds(quote["trialEnd"])) == (0, trial["trial_end"])
    assert changed(world, ann, trial, priceId=yearly)["invoice"] is None
    earlier = trial["trial_start"] + 7 * DAY
    quote = quoted(world, ann, trial, short)
    found = [seconds(quote["trialEnd"]), seconds(quote["renewsAt"]), seconds(offered(world, ann, short)["trialEnd"])]
    assert (found, quote["dueNow"]["amount"], quote["dueAtRenewal"]["amount"]) == ([earlier] * 3, 0, 7000)
    done = changed(world, ann, trial, priceId=short, prorationDate=quote["prorationDate"])
    assert (done["invoice"], seconds(done["subscription"]["trialEnd"])) == (None, earlier)
    longer = changed(world, ann, trial, priceId=yearly)["subscription"]
    assert (seconds(longer["trialEnd"]), longer["status"]) == (earlier, "TRIALING")  # nothing prolongs it


def test_a_trial_that_the_seller_gave_by_hand_goes_on_with_what_is_no_more(world, ann):
    given = subscribe(world, customer(world, "ann"), "pro_yearly", trial_period_days=60)  # of 14 in the catalogue
    for other, is_dearer in (("pro_monthly", True), ("starter_monthly", False)):
        price, end = price_id(world, other), given["trial_end"]
        assert seconds(offered(world, ann, price)["trialEnd"]) == end
        quote = quoted(world, ann, given, price)
        assert (quote["dueNow"]["amount"], seconds(quote["trialEnd"])) == (0, end)
        done = changed(world, ann, given, priceId=price, prorationDate=quote["prorationDate"])
        assert (done["invoice"], seconds(done["subscription"]["trialEnd"])) == (None, end)
        assert (RISEN in world.stripe("GET", f"/v1/subscriptions/{given['id']}")["metadata"]) is is_dearer
    business = price_id(world, "business_monthly")
    assert offered(world, ann, business)["trialEnd"] is None
    quote = quoted(world, ann, given, business)
    assert (quote["dueNow"]["amount"], quote["trialEnd"]) == (19900, None)


def test_what_was_quoted_in_a_trial_is_not_charged_after_it(world, ann, trial):
    short = plan(world, days=4)
    world.advance(to=trial["trial_start"] + 4 * DAY - 60)
    quote = quoted(world, ann, trial, short)
    assert quote["dueNow"]["amount"] == 0
    world.advance(to=trial["trial_start"] + 4 * DAY + 60)
    late = changed(world, ann, trial, priceId=short, prorationDate=quote["prorationDate"])
    assert late["userErrors"] == [{"code": "PREVIEW_EXPIRED", "field": "prorationDate"}]
    assert quoted(world, ann, trial, short)["dueNow"]["amount"] == 7000


def test_an_add_on_without_a_trial_ends_it_and_a_quantity_does_not(world, ann, trial):
    addon = world.stripe("POST", "/v1/products", name="More", **{"metadata[addon]": "true"})["id"]
    given = {"currency": "usd", "unit_amount": 500, "recurring[interval]": "month"}
    more = world.stripe("POST", "/v1/prices", product=addon, **given)["id"]
    world.eventually(lambda: world.rows("price", id=more))
    seats = changed(world, ann, trial, priceId=price_id(world, "pro_monthly"), quantity=2)
    assert (seats["subscription"]["status"], seats["invoice"]) == ("TRIALING", None)
    quote = quoted(world, ann, trial, items=[{"priceId": more}])
    assert (quote["dueNow"]["amount"], quote["trialEnd"]) == (2 * 2900 + 500, None)
    done = changed(world, ann, trial, items=[{"priceId": more}], prorationDate=quote["prorationDate"])
    assert (done["subscription"]["status"], done["invoice"]["total"]["amount"]) == ("ACTIVE", 6300)


def test_a_card_that_is_declined_leaves_the_trial_as_it_was(world, ann, trial):
    bad = world.stripe("POST", "/v1/payment_methods/pm_card_chargeCustomerFail/attach", customer=trial["customer"])
    world.stripe("POST", f"/v1/subscriptions/{trial['id']}", default_payment_method=bad["id"])
    done = changed(world, ann, trial, priceId=price_id(world, "business_monthly"))
    assert [each["code"] for each in done["userErrors"]] == ["PAYMENT_FAILED"]
    theirs = settled(world, trial["id"])
    assert (theirs["status"], theirs["trial_end"]) == ("trialing", trial["trial_end"])


def test_a_bank_that_wants_the_payment_confirmed_leaves_the_trial_until_then(world, ann, trial):
    card = "pm_card_authenticationRequired"
    method = world.stripe("POST", f"/v1/payment_methods/{card}/attach", customer=trial["customer"])
    world.stripe("POST", f"/v1/subscriptions/{trial['id']}", default_payment_method=method["id"])
    done = changed(world, ann, trial, priceId=price_id(world, "business_monthly"))["subscription"]
    assert (done["status"], seconds(done["trialEnd"])) == ("TRIALING", trial["trial_end"])
    assert done["confirmation"]["url"]


def test_a_trial_without_a_card_is_not_paused_by_a_change(database_url):
    with make_world(database_url, free_without_card=True) as world:
        ann, start = world.token("ann"), "mutation($input: StartSubscriptionInput!) { startSubscription(input: $input) "
        start += "{ subscription { id } } }"
        given = {"lineItems": [{"priceId": price_id(world, "pro_monthly")}]}
        its = world.data(start, {"input": given}, ann)["startSubscription"]["subscription"]
        business = price_id(world, "business_monthly")
        refused = changed(world, ann, its, priceId=business)["userErrors"]
        assert refused == [{"code": "PAYMENT_METHOD_NEEDED", "field": "subscriptionId"}]
        assert world.stripe("GET", f"/v1/subscriptions/{its['id']}")["status"] == "trialing"
        yearly = changed(world, ann, its, priceId=price_id(world, "pro_yearly"))
        assert (yearly["userErrors"], yearly["subscription"]["status"]) == ([], "TRIALING")
        me = world.rows("customer", external_id="ann")[0]["id"]
        card = world.stripe("POST", "/v1/payment_methods/pm_card_visa/attach", customer=me)["id"]
        world.stripe("POST", f"/v1/customers/{me}", **{"invoice_settings[default_payment_method]": card})
        done = changed(world, ann, its, priceId=business)
        assert (done["subscription"]["status"], done["invoice"]["status"]) == ("ACTIVE", "PAID")
