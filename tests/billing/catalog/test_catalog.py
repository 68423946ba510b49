"""The catalogue over GraphQL: what is on sale, in which order, and how soon a change is seen."""

import asyncio
import re
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from gateway.billing.catalog.service import MAX_CHANGES, Catalog
from gateway.db.database import Database
from gateway.db.notifications import POLL_SECONDS, Notifications
from gateway.mirror.resources import RESOURCES
from gateway.mirror.upsert import Candidate, upsert
from gateway.runtime import compose
from gateway.settings import Settings
from harness.catalog import stock
from harness.databases import both_databases, sqlite_later
from harness.gateway import make_world
from harness.rows import NOW
from harness.waiting import throughout

PRICING = """query($currency: Currency, $interval: BillingInterval) {
  pricing(currency: $currency, interval: $interval) {
    currency currencies intervals
    products { product { id } plans { id amount { amount currency } } oneTime { id } }
  }
}"""

PRODUCT = {"name": "Pro", "active": True, "created": NOW, "updated": NOW}
PLANS = "{ plans(%s) { note nodes { id amount { amount currency } } } }"
PRICE = {"active": True, "currency": "usd", "unit_amount": 900, "billing_scheme": "per_unit", "created": NOW}


def candidate(kind, id, as_of, **columns):
    return Candidate(RESOURCES[kind], id, columns, as_of)


@pytest.fixture(scope="module")
def shop(new_sqlite):
    """A world with the known catalogue, for tests that only read."""
    with make_world(new_sqlite(), fill=False) as world:
        world.ids = stock(world)
        yield world


def names(world, listed):
    """The short names of listed ids, without what the sample catalogue has."""
    known = {each: name for name, each in world.ids.items()}
    return [known[each] for each in listed if each in known]


def offers(world, **variables):
    """The pricing page as `{product: (plans, one-off prices)}` in short names."""
    pricing = world.data(PRICING, variables)["pricing"]
    found = {
        each["product"]["id"]: (
            names(world, [plan["id"] for plan in each["plans"]]),
            names(world, [price["id"] for price in each["oneTime"]]),
        )
        for each in pricing["products"]
    }
    return {name: found[world.ids[name]] for name in names(world, found)}


def test_a_pricing_page_has_what_is_on_sale_by_sort_order_then_interval_then_price(shop):
    page = offers(shop, currency="USD")

    assert list(page.items()) == [
        ("team", (["team_month", "tiered"], ["setup"])),
        ("pro", (["pro_month", "pro_year"], [])),
    ]


def test_a_pricing_page_in_another_currency_has_only_what_is_offered_in_it_with_its_amounts(shop):
    assert offers(shop, currency="EUR") == {"pro": (["pro_month", "pro_year"], [])}
    assert offers(shop, currency="jpy") == {"pro": (["pro_month"], [])}
    assert offers(shop, currency="KWD") == {"team": ([], ["team_dinar"])}

    pricing = shop.data(PRICING, {"currency": "JPY"})["pricing"]
    assert pricing["currency"] == "JPY"
    assert {"amount": 3000, "currency": "JPY"} in [
        plan["amount"] for each in pricing["products"] for plan in each["plans"]
    ]


def test_a_pricing_page_by_interval_has_its_plans_and_all_one_off_prices(shop):
    assert offers(shop, currency="USD", interval="YEAR") == {
        "team": (["tiered"], ["setup"]),
        "pro": (["pro_year"], []),
    }
    assert shop.data(PRICING, {"currency": "USD", "interval": "YEAR"})["pricing"]["intervals"][-2:] == ["MONTH", "YEAR"]


def test_a_currency_in_which_nothing_is_on_sale_is_refused_with_those_that_there_are(shop):
    for asked in ('{ pricing(currency: "XAF", strict: true) { asOf } }', PLANS % 'currency: "XAF", strict: true'):
        (error,) = shop.graphql(asked).json()["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert "XAF" in error["message"]
        assert "EUR" in error["message"]


def test_a_currency_in_which_nothing_is_on_sale_leads_to_the_countrys_with_a_note(shop):
    page = "{ pricing(%s) { currency currencyChoice note products { plans { amount { currency } } } } }"

    def shown(asked: str) -> tuple:
        found = shop.data(page % asked)["pricing"]
        amounts = {plan["amount"]["currency"] for each in found["products"] for plan in each["plans"] if plan["amount"]}
        assert amounts == {found["currency"]}
        return found["currency"], found["currencyChoice"], found["note"]

    assert shown('currency: "XAF"') == ("USD", "DEFAULT", "nothing is on sale in XAF: this is in USD")
    assert shown('currency: "XAF", country: "JP"')[:2] == ("JPY", "COUNTRY")
    assert shown('country: "DE"') == ("EUR", "COUNTRY", None)
    assert shown('currency: "EUR", country: "JP", strict: true') == ("EUR", "REQUESTED", None)
    plans = shop.data(PLANS % 'currency: "XAF"')["plans"]
    assert plans == shop.data(PLANS % 'currency: "USD"')["plans"] | {"note": shown('currency: "XAF"')[2]}


def test_a_price_tells_what_it_costs_in_each_currency_also_below_one_minor_unit(shop):
    cents = {"currency": "usd", "unit_amount_decimal": "0.25", "recurring[interval]": "month"}
    options = {"currency_options[eur][unit_amount_decimal]": "0.2", "currency_options[jpy][unit_amount]": 1}
    made = shop.stripe("POST", "/v1/products", name="Calls")
    calls = shop.stripe("POST", "/v1/prices", product=made["id"], **cents, **options)
    shop.stripe("POST", f"/v1/products/{made['id']}", default_price=calls["id"])
    query = """query($id: ID!) { plan(id: $id) { product { defaultPrice { id } } price { currencyOptions { currency }
        amounts { currency unitAmount { amount } unitAmountDecimal tiers { upTo } } } } }"""
    amount = {"unitAmount": None, "tiers": []}

    shop.eventually(
        lambda: shop.data(query, {"id": calls["id"]})["plan"],
        {
            "product": {"defaultPrice": {"id": calls["id"]}},
            "price": {
                "currencyOptions": [{"currency": "JPY"}],
                "amounts": [
                    {**amount, "currency": "USD", "unitAmountDecimal": "0.25"},
                    {**amount, "currency": "EUR", "unitAmountDecimal": "0.2"},
                    {**amount, "currency": "JPY", "unitAmount": {"amount": 1}, "unitAmountDecimal": "1"},
                ],
            },
        },
    )


def test_a_catalogue_is_read_in_the_readers_language(shop):
    texts = {"name": "Profi", "description": "Für Leute", "call_to_action": "Jetzt kaufen", "unit_label": "Platz"}
    meta = {f"metadata[{name}_de]": text for name, text in texts.items()}
    meta |= {"metadata[features]": "sso", "metadata[feature_sso]": "Single sign-on", "unit_label": "seat"}
    meta |= {"metadata[feature_sso_de]": "Einmal anmelden", "metadata[marketing_features_de]": "Alles | Und mehr"}
    made = shop.stripe("POST", "/v1/products", name="Pro", **meta, **{"marketing_features[0][name]": "All"})["id"]
    price = {"currency": "usd", "unit_amount": 900, "recurring[interval]": "month", "tax_behavior": "inclusive"}
    plan = shop.stripe("POST", "/v1/prices", product=made, nickname="Best", **price, **{"metadata[nickname_de]": "Top"})
    query = """query($id: ID!, $in: String) { plan(id: $id) { nickname(locale: $in) features { key name(locale: $in) }
        price { nickname(locale: $in) taxText(locale: "nl") }
        product { name(locale: $in) description(locale: $in) features(locale: $in) callToAction(locale: $in)
            unitLabel(locale: $in) } } }"""

    def read(language: str | None) -> dict:
        return shop.data(query, {"id": plan["id"], "in": language})["plan"]

    german = {
        "nickname": "Top",
        "features": [{"key": "sso", "name": "Einmal anmelden"}],
        "price": {"nickname": "Top", "taxText": "incl. btw"},
        "product": {
            "name": "Profi",
            "description": "Für Leute",
            "features": ["Alles", "Und mehr"],
            "callToAction": "Jetzt kaufen",
            "unitLabel": "Platz",
        },
    }
    shop.eventually(lambda: read("de-AT"), german)
    assert (
        read(None)
        == read("sv")
        == {
            "nickname": "Best",
            "features": [{"key": "sso", "name": "Single sign-on"}],
            "price": {"nickname": "Best", "taxText": "incl. btw"},
            "product": {
                "name": "Pro",
                "description": None,
                "features": ["All"],
                "callToAction": None,
                "unitLabel": "seat",
            },
        }
    )


def test_the_default_currency_is_the_one_with_the_most_prices(shop):
    assert shop.data(PRICING)["pricing"]["currency"] == "USD"


def test_the_default_currency_can_be_set(sqlite_url):
    with make_world(sqlite_url, fill=False, default_currency="eur") as world:
        stock(world)
        assert world.data(PRICING)["pricing"]["currency"] == "EUR"


def test_a_price_tells_its_tiers_and_what_is_below_one_minor_unit(shop):
    query = """query($id: ID!) { plan(id: $id) { amount { amount } price { billingScheme tiersMode unitAmountDecimal
        tiers { upTo unitAmount { decimal } unitAmountDecimal flatAmount { decimal } flatAmountDecimal } } } }"""

    assert shop.data(query, {"id": shop.ids["tiered"]})["plan"] == {
        "amount": None,
        "price": {
            "billingScheme": "TIERED",
            "tiersMode": "VOLUME",
            "unitAmountDecimal": None,
            "tiers": [
                {
                    "upTo": 10,
                    "unitAmount": {"decimal": "7.00"},
                    "unitAmountDecimal": "700",
                    "flatAmount": None,
                    "flatAmountDecimal": None,
                },
                {
                    "upTo": None,
                    "unitAmount": None,
                    "unitAmountDecimal": "0.5",
                    "flatAmount": {"decimal": "1.00"},
                    "flatAmountDecimal": "100",
                },
            ],
        },
    }


def test_a_plan_is_a_recurring_price_with_the_same_id(shop):
    query = """query($id: ID!) { plan(id: $id) { id nickname interval intervalCount usageType trialPeriodDays
        amount { amount currency decimal formatted(locale: "de") }
        product { id name description features plans { id } prices { id } }
        price { id lookupKey recurring { interval } currencyOptions { formatted } } } }"""

    plan = shop.data(query, {"id": shop.ids["pro_month"]})["plan"]

    assert names(shop, [plan["id"], plan["price"]["id"]]) == ["pro_month", "pro_month"]
    assert plan["amount"] == {
        "amount": 2000,
        "currency": "USD",
        "decimal": "20.00",
        "formatted": "20,00\N{NO-BREAK SPACE}$",
    }
    assert plan["price"]["currencyOptions"] == [{"formatted": text} for text in ("$20.00", "€19.00", "¥3,000")]
    assert plan["product"]["features"] == ["Everything"]
    assert names(shop, [each["id"] for each in plan["product"]["plans"]]) == ["pro_month", "pro_year"]
    assert (plan["nickname"], plan["interval"], plan["usageType"]) == ("Pro monthly", "MONTH", "LICENSED")


def test_a_plan_tells_what_pricing_pages_work_out_by_hand(shop):
    query = """query($id: ID!) { plan(id: $id) {
        one: amountFor(quantity: 1) { amount } many: amountFor(quantity: 12) { amount currency }
        monthlyEquivalent { amount } savingPercent product { highlighted callToAction startingAt { amount } }
        price { customAmount transformQuantity { divideBy round } } } }"""

    def selected(name: str) -> dict:
        return shop.data(query, {"id": shop.ids[name]})["plan"]

    year, tiered = selected("pro_year"), selected("tiered")
    assert (year["one"], year["many"]) == ({"amount": 20_000}, {"amount": 240_000, "currency": "USD"})
    assert (year["monthlyEquivalent"], year["savingPercent"]) == ({"amount": 1667}, 16)
    assert year["product"] == {"highlighted": False, "callToAction": None, "startingAt": {"amount": 1667}}
    assert year["price"] == {"customAmount": False, "transformQuantity": None}
    assert selected("pro_month")["savingPercent"] is None
    assert (tiered["one"], tiered["many"]["amount"]) == ({"amount": 700}, 106)
    assert (tiered["monthlyEquivalent"], tiered["savingPercent"]) == ({"amount": 58}, 94)
    euros = "{ pricing(currency: EUR) { products { plans { id amountFor(quantity: 2) { amount currency } } } } }"
    plans = [plan for each in shop.data(euros)["pricing"]["products"] for plan in each["plans"]]
    found = {plan["id"]: plan["amountFor"] for plan in plans}
    assert found[shop.ids["pro_month"]] == {"amount": 3800, "currency": "EUR"}
    for quantity in (-1, 1_000_001):
        answer = shop.graphql(
            "query($id: ID!, $q: Int!) { plan(id: $id) { amountFor(quantity: $q) { amount } } }",
            {"id": shop.ids["pro_year"], "q": quantity},
        ).json()
        assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


def test_a_price_that_is_paid_once_is_no_plan(shop):
    assert shop.data("query($id: ID!) { plan(id: $id) { id } }", {"id": shop.ids["setup"]})["plan"] is None


def test_what_is_no_longer_sold_is_answered_by_id_and_listed_nowhere(shop):
    query = "query($p: ID!, $g: ID!) { plan(id: $p) { active product { id } } product(id: $g) { active name } }"
    answer = shop.data(query, {"p": shop.ids["inactive"], "g": shop.ids["gone"]})

    assert answer["plan"]["active"] is False
    assert answer["product"] == {"active": False, "name": "Gone"}
    listed = shop.data("{ plans(first: 100) { nodes { id } } products(first: 100) { nodes { id } } }")
    ids = [each["id"] for each in listed["plans"]["nodes"] + listed["products"]["nodes"]]
    assert set(names(shop, ids)) == {"pro", "team", "pro_month", "pro_year", "team_month", "tiered"}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"productId": "pro"}, ["pro_month", "pro_year"]),
        ({"productId": "gone"}, []),
        ({"interval": "MONTH"}, ["team_month", "pro_month"]),
        ({"currency": "EUR"}, ["pro_month", "pro_year"]),
        ({"productId": "team", "interval": "YEAR"}, ["tiered"]),
    ],
)
def test_plans_are_filtered_by_product_interval_and_currency(shop, filters, expected):
    query = """query($productId: ID, $interval: BillingInterval, $currency: Currency) {
        plans(first: 100, productId: $productId, interval: $interval, currency: $currency) { nodes { id } } }"""
    if "productId" in filters:
        filters = {**filters, "productId": shop.ids[filters["productId"]]}

    found = shop.data(query, filters)["plans"]["nodes"]

    assert names(shop, [plan["id"] for plan in found]) == expected


def test_pages_of_one_follow_each_other_to_the_end_and_skip_nothing(shop):
    query = """query($after: String) { plans(first: 1, after: $after) {
        edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
    walked, cursor = [], None
    while True:
        page = shop.data(query, {"after": cursor})["plans"]
        walked.append(page["edges"][0]["node"]["id"])
        assert page["pageInfo"]["hasPreviousPage"] is (cursor is not None)
        assert page["pageInfo"]["startCursor"] == page["edges"][0]["cursor"]
        cursor = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break

    assert walked == [each["id"] for each in shop.data("{ plans(first: 100) { nodes { id } } }")["plans"]["nodes"]]


@pytest.mark.parametrize("arguments", ["first: 0", "first: 101", "first: -1", 'after: "nonsense"', 'after: "äöü"'])
def test_a_page_that_cannot_be_is_refused(shop, arguments):
    for field in ("plans", "products"):
        answer = shop.graphql(f"{{ {field}({arguments}) {{ nodes {{ id }} }} }}").json()
        assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


@both_databases
def test_a_change_is_seen_at_once_here_and_within_a_moment_by_another_process(world, database_url):
    product = world.stripe("POST", "/v1/products", name="Before")
    query = "query($id: ID!) { product(id: $id) { name } }"
    world.eventually(lambda: world.data(query, product)["product"], {"name": "Before"})
    with make_world(database_url, fill=False) as other:
        assert other.data(query, product)["product"] == {"name": "Before"}

        event = world.event("product.updated", {**product, "name": "After"}, created=product["created"] + 60)
        assert world.deliver(event).status_code == 200

        assert world.data(query, product)["product"] == {"name": "After"}
        other.eventually(lambda: other.data(query, product)["product"], {"name": "After"}, seconds=3)


@sqlite_later
def test_the_catalogue_is_served_while_the_database_cannot_be_read(world):
    before = world.data(PRICING)
    world._execute("UPDATE catalog_version SET version = version + 1")
    with world.renamed("price", "price_away"):
        throughout(lambda: world.data(PRICING), before, 4 * POLL_SECONDS)
    assert world.data(PRICING) == before


def test_without_a_database_at_the_start_the_answer_says_so_and_nothing_of_the_inside(tmp_path):
    with make_world(f"sqlite:///{tmp_path / 'empty.db'}", fill=False) as world:
        error = world.graphql("{ pricing { asOf } }").json()["errors"][0]

    assert error["extensions"]["code"] == "UNAVAILABLE"
    assert "sqlite" not in str(error).lower()
    assert "SELECT" not in str(error)


@contextmanager
def read_tables(database):
    """The tables of the catalogue that are read from a database while the block runs, in order; not by others."""
    asked = []

    def note(*args):
        asked.extend(re.findall(r"FROM (catalog_version|catalog_change|product|price)\b", args[2]))

    sa.event.listen(database._reader, "before_cursor_execute", note)
    yield asked
    sa.event.remove(database._reader, "before_cursor_execute", note)


EVERYTHING = ["catalog_version", "product", "price"]


async def test_fifty_simultaneous_cold_readers_share_one_reading_and_warm_ones_read_nothing(shop):
    database = compose(shop.settings).database
    catalog = Catalog(shop.settings, database)
    with read_tables(database) as asked:
        snapshots = await asyncio.gather(*[catalog.snapshot() for _ in range(50)])
        assert asked == EVERYTHING
        assert len(set(map(id, snapshots))) == 1

        catalog.hear(None)  # after a gap
        fresh = await asyncio.gather(*[catalog.snapshot() for _ in range(50)])
        assert asked == EVERYTHING * 2
        assert fresh[0] is not snapshots[0]

        for _ in range(50):
            assert await catalog.snapshot() is fresh[0]
        assert asked == EVERYTHING * 2
    await database.close()


@both_databases
async def test_of_a_change_its_own_rows_are_read_and_everything_where_nobody_says_which(database_url):
    database = Database(database_url, endpoints=(), on_commit=Notifications())

    async def write(*rows):
        await database.transaction(lambda connection: upsert(connection, rows, []))
        catalog.hear({"catalog"})

    async def look():
        with read_tables(database) as asked:
            found = await catalog.snapshot()
        return found, asked

    catalog = Catalog(Settings.load(), database)
    await write(candidate("product", "pro", 10, **PRODUCT), candidate("price", "month", 10, **PRICE, product_id="pro"))
    before, asked = await look()
    assert (asked, before.prices["month"].unit_amount) == (EVERYTHING, 900)

    await write(candidate("price", "month", 20, **PRICE | {"unit_amount": 700}, product_id="pro"))
    await write(candidate("price", "year", 20, **PRICE, product_id="late"))
    second, asked = await look()
    assert asked == ["catalog_version", "catalog_change", "price"]
    assert (second.prices["month"].unit_amount, set(second.prices), set(second.orphans)) == (700, {"month"}, {"year"})
    assert (before.prices["month"].unit_amount, second.version - before.version) == (900, 2)

    await write(candidate("product", "late", 30, **PRODUCT))
    third, asked = await look()
    assert asked == ["catalog_version", "catalog_change", "product"]
    assert set(third.prices) == {"month", "year"}
    assert third.by_product["pro"] is second.by_product["pro"]

    catalog.hear({"catalog", "customer:cus_1"})  # heard late
    assert await look() == (third, ["catalog_version"])
    catalog.hear({"customer:cus_1"})
    assert await look() == (third, [])

    untold = sa.text("UPDATE catalog_version SET version = version + 1")  # by a process of another version
    await database.transaction(lambda connection: connection.execute(untold))
    await write(candidate("price", "month", 40, **PRICE, product_id="pro"))
    fourth, asked = await look()
    assert asked == ["catalog_version", "catalog_change", "product", "price"]
    assert fourth.by_product["pro"] is not third.by_product["pro"]

    await write(*(candidate("price", f"p{n:04}", 50, **PRICE, product_id="pro") for n in range(MAX_CHANGES + 1)))
    fifth, asked = await look()
    assert asked == ["catalog_version", "catalog_change", "product", "price"]
    assert len(fifth.prices) == MAX_CHANGES + 3
    await write(candidate("price", "p0000", 60, **PRICE | {"unit_amount": 1}, product_id="pro"))
    assert (await look())[0].prices["p0000"].unit_amount == 1
    await database.close()


async def test_a_reader_that_goes_away_does_not_take_the_answer_of_the_others_along(shop):
    database = compose(shop.settings).database
    catalog = Catalog(shop.settings, database)
    impatient = asyncio.create_task(catalog.snapshot())
    patient = asyncio.create_task(catalog.snapshot())
    await asyncio.sleep(0)

    impatient.cancel()

    assert (await patient).products
    await database.close()


def test_an_amount_that_the_buyer_chooses_is_shown_with_its_limits_in_each_currency(world):
    gift = world.stripe("POST", "/v1/products", name="Gift")["id"]
    dollars = {"custom_unit_amount[enabled]": "true", "custom_unit_amount[minimum]": 500}
    dollars |= {"custom_unit_amount[maximum]": 5000, "custom_unit_amount[preset]": 1000}
    option = "currency_options[eur][custom_unit_amount]"
    euros = {f"{option}[enabled]": "true", f"{option}[minimum]": 400}
    made = world.stripe("POST", "/v1/prices", product=gift, currency="usd", **dollars, **euros)["id"]
    limits = "customAmountLimits { minimum { amount currency } maximum { amount } preset { amount } }"
    fields = f"id customAmount unitAmount {{ amount }} {limits} amounts {{ {limits} }}"
    query = f"{{ pricing {{ products {{ oneTime {{ {fields} }} }} }} }}"

    def shown() -> list[dict]:
        found = [price for each in world.data(query)["pricing"]["products"] for price in each["oneTime"]]
        return [price for price in found if price.pop("id") == made]

    usd = {"minimum": {"amount": 500, "currency": "USD"}, "maximum": {"amount": 5000}, "preset": {"amount": 1000}}
    eur = {"minimum": {"amount": 400, "currency": "EUR"}, "maximum": None, "preset": None}
    amounts = [{"customAmountLimits": each} for each in (usd, eur)]
    expected = {"customAmount": True, "unitAmount": None, "customAmountLimits": usd, "amounts": amounts}
    world.eventually(shown, [expected])
