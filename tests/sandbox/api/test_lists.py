"""Lists, filters, expansion and search."""

import httpx
import pytest
import stripe


@pytest.fixture
def products(stripe_client):
    """Seven products, newest first."""
    made = [stripe_client.v1.products.create({"name": f"P{n}", "metadata": {"n": str(n)}}) for n in range(7)]
    return [each.id for each in reversed(made)]


def ids(found):
    return [each.id for each in found]


def test_a_second_page_starts_after_the_last_object(stripe_client, products):
    first = stripe_client.v1.products.list({"limit": 3})
    second = stripe_client.v1.products.list({"limit": 3, "starting_after": first.data[-1].id})
    assert ids(first.data) + ids(second.data) == products[:6]
    assert first.has_more


def test_the_page_before_an_object_ends_with_its_newer_neighbour(stripe_client, products):
    page = stripe_client.v1.products.list({"limit": 2, "ending_before": products[4]})
    assert (ids(page.data), page.has_more) == (products[2:4], True)


def test_auto_pagination_meets_every_object_once(stripe_client, products):
    assert ids(stripe_client.v1.products.list({"limit": 2}).auto_paging_iter()) == products


def test_a_page_is_ten_objects_unless_told(stripe_client):
    for n in range(11):
        stripe_client.v1.products.create({"name": str(n)})
    page = stripe_client.v1.products.list()
    assert (len(page.data), page.has_more) == (10, True)


@pytest.mark.parametrize("limit", [0, 101])
def test_a_limit_is_from_1_to_100(stripe_client, limit):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        stripe_client.v1.products.list({"limit": limit})
    assert (caught.value.code, caught.value.param) == ("parameter_invalid_integer", "limit")


def test_a_cursor_must_exist(stripe_client):
    with pytest.raises(stripe.InvalidRequestError, match="No such product"):
        stripe_client.v1.products.list({"starting_after": "prod_none"})


def test_lists_filter_by_field_by_ids_and_by_time(stripe_client, products, sandbox_server):
    v1 = stripe_client.v1
    v1.products.update(products[0], {"active": False})
    assert ids(v1.products.list({"active": False}).data) == [products[0]]
    assert ids(v1.products.list({"ids": products[2:4]}).data) == products[2:4]
    now = sandbox_server.sandbox.now()
    assert len(v1.products.list({"created": {"gte": now - 60}}).data) == 7
    assert v1.products.list({"created": {"lt": now - 60}}).data == []


def test_prices_filter_by_lookup_key_and_recurring_interval(stripe_client, products):
    v1 = stripe_client.v1
    for interval in ("month", "year"):
        price = {"product": products[0], "currency": "usd", "unit_amount": 5, "lookup_key": interval}
        v1.prices.create({**price, "recurring": {"interval": interval}})
    assert [each.lookup_key for each in v1.prices.list({"lookup_keys": ["year", "none"]}).data] == ["year"]
    assert [each.lookup_key for each in v1.prices.list({"recurring": {"interval": "month"}}).data] == ["month"]


def test_expand_follows_ids_through_lists_and_levels(stripe_client):
    v1 = stripe_client.v1
    product = v1.products.create({"name": "A", "default_price_data": {"currency": "usd", "unit_amount": 5}})
    listed = v1.products.list({"expand": ["data.default_price.product"]})
    assert listed.data[0].default_price.product.id == product.id


def test_tiers_and_currency_options_show_only_when_expanded(stripe_client, products):
    v1 = stripe_client.v1
    price = v1.prices.create(
        {
            "product": products[0],
            "currency": "usd",
            "recurring": {"interval": "month"},
            "billing_scheme": "tiered",
            "tiers_mode": "graduated",
            "tiers": [{"up_to": 5, "unit_amount": 100}, {"up_to": "inf", "unit_amount_decimal": "0.5"}],
        }
    )
    assert "tiers" not in price.to_dict()
    shown = v1.prices.retrieve(price.id, {"expand": ["tiers", "currency_options"]})
    assert [(tier.up_to, str(tier.unit_amount_decimal)) for tier in shown.tiers] == [(5, "100"), (None, "0.5")]
    assert list(shown.currency_options.to_dict()) == ["usd"]


def test_what_is_no_reference_cannot_be_expanded(stripe_client, products):
    with pytest.raises(stripe.InvalidRequestError, match=r"cannot be expanded \(name\)"):
        stripe_client.v1.products.retrieve(products[0], {"expand": ["name"]})
    with pytest.raises(stripe.InvalidRequestError, match=r"expanding 'data\.default_price' instead"):
        stripe_client.v1.products.list({"expand": ["default_price"]})


def test_a_deleted_customer_says_so_and_leaves_the_list(stripe_client):
    v1 = stripe_client.v1
    customer = v1.customers.create({"email": "a@example.com"})
    assert v1.customers.delete(customer.id).deleted
    assert v1.customers.retrieve(customer.id).to_dict() == {"id": customer.id, "object": "customer", "deleted": True}
    assert v1.customers.list().data == []


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ('name:"p3"', ["P3"]),
        ('metadata["n"]:"5" OR metadata["n"]:"6"', ["P6", "P5"]),
        ('name~"P" AND -metadata["n"]:"0"', None),
        ('active:"true" AND metadata["n"]:"2"', ["P2"]),
        ('metadata["none"]:null AND name:"P1"', ["P1"]),
        ("url:null AND name:'P4'", ["P4"]),
    ],
)
def test_search_speaks_stripes_query_language(stripe_client, products, query, names):
    if names is None:  # `~` needs three characters
        with pytest.raises(stripe.InvalidRequestError, match="at least 3 characters"):
            stripe_client.v1.products.search({"query": query})
        return
    assert [each.name for each in stripe_client.v1.products.search({"query": query}).data] == names


def test_search_compares_times_and_pages_on(stripe_client, products):
    found = stripe_client.v1.products.search({"query": 'active:"true"', "limit": 3, "expand": ["total_count"]})
    assert (len(found.data), found.has_more, found.total_count) == (3, True, 7)
    assert ids(found.auto_paging_iter()) == products
    stripe_client.v1.customers.create({"email": "a@example.com"})
    assert len(stripe_client.v1.customers.search({"query": "created>1000000000"}).data) == 1
    assert stripe_client.v1.customers.search({"query": "created<1000000000"}).data == []


@pytest.mark.parametrize("query", ["", "nonsense", 'colour:"red"', 'name:"a" AND name:"b" OR name:"c"', "name>x"])
def test_a_search_that_cannot_be_read_is_refused(sandbox_server, query):
    answer = httpx.get(
        sandbox_server.url + "/v1/products/search",
        params={"query": query},
        headers={"Authorization": "Bearer sk_test_1"},
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "query"


def test_a_list_may_ask_for_what_its_objects_call_otherwise(stripe_client, sandbox_server):
    """Invoice items have `date` for `created`, a shipping rate has its currency inside its amount, and an event counts
    the endpoints that have not taken it (https://docs.stripe.com/api/invoiceitems/list, /shipping_rates, /events).
    """
    v1, now = stripe_client.v1, sandbox_server.sandbox.now()
    customer = v1.customers.create()
    item = v1.invoice_items.create({"customer": customer.id, "amount": 500, "currency": "usd"})
    assert ids(v1.invoice_items.list({"created": {"gte": now - 60}}).data) == [item.id]
    assert ids(v1.invoice_items.list({"created": {"lt": now - 60}}).data) == []
    cost = {"display_name": "Post", "type": "fixed_amount", "fixed_amount": {"amount": 400, "currency": "eur"}}
    rate = v1.shipping_rates.create(cost)
    assert ids(v1.shipping_rates.list({"currency": "eur"}).data) == [rate.id]
    assert ids(v1.shipping_rates.list({"currency": "usd"}).data) == []
    events = v1.events.list()
    assert ids(v1.events.list({"delivery_success": True}).data) == ids(events.data) != []
    assert ids(v1.events.list({"delivery_success": False}).data) == []
