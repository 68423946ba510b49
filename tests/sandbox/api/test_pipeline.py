"""The API's manners: keys, errors, parameters, idempotency, headers."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import stripe

AUTH = {"Authorization": "Bearer sk_test_123"}


def post(server, path, data=None, **headers):
    return httpx.post(server.url + path, data=data or {}, headers={**AUTH, **headers})


def refused(answer, status=400):
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def test_an_object_comes_back_as_it_was_made(stripe_client):
    made = stripe_client.v1.products.create({"name": "Team", "metadata": {"a": "b"}})
    assert stripe_client.v1.products.retrieve(made.id).to_dict() == made.to_dict()


def test_a_request_without_key_is_refused(sandbox_server):
    answer = httpx.get(sandbox_server.url + "/v1/products")
    assert "You did not provide an API key" in refused(answer, 401)["message"]


def test_a_live_key_is_never_accepted(sandbox_server):
    client = sandbox_server.client("sk_live_123")
    with pytest.raises(stripe.AuthenticationError, match="live key"):
        client.v1.products.list()


def test_a_key_may_come_as_basic_user_name(sandbox_server):
    assert httpx.get(sandbox_server.url + "/v1/products", auth=("sk_test_123", "")).status_code == 200


def test_an_unknown_path_is_answered_as_stripe_does_and_counted(sandbox_server):
    error = refused(httpx.get(sandbox_server.url + "/v1/unicorns", headers=AUTH), 404)
    assert error["message"].startswith("Unrecognized request URL (GET: /v1/unicorns).")
    state = httpx.get(sandbox_server.url + "/_sandbox/state").json()
    assert state["unknown_paths"] == {"GET /v1/unicorns": 1}


def test_every_answer_names_its_request_and_version(sandbox_server):
    answer = httpx.get(sandbox_server.url + "/v1/products", headers={**AUTH, "Stripe-Version": "2026-10-28.endive"})
    assert answer.headers["request-id"].startswith("req_")
    assert answer.headers["stripe-version"] == "2026-10-28.endive"


def test_an_object_that_is_not_there_is_404_in_the_url_and_400_in_a_parameter(stripe_client):
    with pytest.raises(stripe.InvalidRequestError) as by_url:
        stripe_client.v1.products.retrieve("prod_none")
    assert (by_url.value.http_status, by_url.value.code, by_url.value.param) == (404, "resource_missing", "id")
    assert "No such product: 'prod_none'" in str(by_url.value)
    with pytest.raises(stripe.InvalidRequestError) as by_parameter:
        stripe_client.v1.prices.create({"product": "prod_none", "currency": "usd", "unit_amount": 1})
    assert (by_parameter.value.http_status, by_parameter.value.param) == (400, "product")


@pytest.mark.parametrize(
    ("path", "data", "code", "param", "message"),
    [
        ("/v1/products", {"name": "A", "colour": "red"}, "parameter_unknown", "colour", "Received unknown parameter"),
        ("/v1/products", {}, "parameter_missing", "name", "Missing required param: name."),
        ("/v1/products", {"name": ""}, "parameter_invalid_empty", "name", "You passed an empty string for 'name'"),
        ("/v1/products", {"name": "A", "active": "maybe"}, None, "active", "Invalid boolean: maybe"),
        ("/v1/products", {"name[a]": "A"}, None, "name", "Invalid string"),
        ("/v1/products", {"name": "A", "images": "x"}, None, "images", "Invalid array"),
        (
            "/v1/prices",
            {"currency": "usd", "unit_amount": "ten", "product": "p"},
            "parameter_invalid_integer",
            "unit_amount",
            "Invalid integer: ten",
        ),
        (
            "/v1/prices",
            {"currency": "usd", "unit_amount": "1", "product": "p", "recurring[interval]": "fortnight"},
            None,
            "recurring[interval]",
            "must be one of day, month, week, or year",
        ),
        (
            "/v1/prices",
            {"currency": "usd", "unit_amount": "1", "product": "p", "recurring[usage_type]": "metered"},
            "parameter_missing",
            "recurring[interval]",
            "Missing required param: recurring[interval].",
        ),
        (
            "/v1/prices",
            {"currency": "usd", "product": "p", "tiers[0][up_to]": "5", "tiers[0][unit]": "5"},
            "parameter_unknown",
            "tiers[0][unit]",
            "Received unknown parameter: tiers[0][unit]",
        ),
        ("/v1/coupons", {"percent_off": "inf"}, None, "percent_off", "Invalid decimal: inf"),
    ],
)
def test_a_wrong_parameter_is_refused_in_stripes_words(sandbox_server, path, data, code, param, message):
    error = refused(post(sandbox_server, path, data))
    assert error["type"] == "invalid_request_error"
    assert (error.get("code"), error["param"]) == (code, param)
    assert message in error["message"]


def test_a_misspelt_parameter_gets_a_hint(sandbox_server):
    assert "Did you mean name?" in refused(post(sandbox_server, "/v1/products", {"nmae": "A"}))["message"]


def test_an_empty_string_unsets_what_can_be_unset(stripe_client):
    product = stripe_client.v1.products.create({"name": "A", "description": "long", "metadata": {"a": "1", "b": "2"}})
    changed = stripe_client.v1.products.update(product.id, {"description": "", "metadata": {"a": ""}})
    assert (changed.description, changed.metadata.to_dict()) == (None, {"b": "2"})
    assert stripe_client.v1.products.update(product.id, {"metadata": ""}).metadata.to_dict() == {}


def test_an_empty_text_of_a_new_object_is_none(sandbox_server):
    made = post(sandbox_server, "/v1/customers", {"name": "", "description": ""})
    shown = made.json()
    assert (made.status_code, shown["name"], shown["description"]) == (200, None, None)


def test_what_a_call_is_about_cannot_be_empty(sandbox_server):
    error = refused(post(sandbox_server, "/v1/invoices", {"customer": ""}))
    assert (error["code"], error["param"]) == ("parameter_invalid_empty", "customer")


@pytest.mark.parametrize(("word", "active"), [("True", True), ("False", False), ("true", True), ("0", False)])
def test_booleans_are_read_as_each_sdk_writes_them(sandbox_server, word, active):
    assert post(sandbox_server, "/v1/products", {"name": "A", "active": word}).json()["active"] is active


def test_previews_behind_the_version_do_not_change_it(sandbox_server):
    version = "2025-03-31.basil; some_feature_beta=v1"
    answer = httpx.get(sandbox_server.url + "/v1/products", headers={**AUTH, "Stripe-Version": version})
    assert (answer.status_code, answer.headers["stripe-version"]) == (200, "2025-03-31.basil")


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("customers/x", "id"),
        ("subscriptions/x", "id"),
        ("payment_methods/x", "payment_method"),
        ("payment_intents/x", "intent"),
        ("prices/x", "price"),
        ("coupons/x", "coupon"),
    ],
)
def test_a_404_names_the_part_of_the_path(sandbox_server, path, param):
    error = refused(httpx.get(f"{sandbox_server.url}/v1/{path}", headers=AUTH), 404)
    assert (error["code"], error["param"]) == ("resource_missing", param)


def test_metadata_values_have_a_length_limit(stripe_client):
    with pytest.raises(stripe.InvalidRequestError, match="500 characters"):
        stripe_client.v1.products.create({"name": "A", "metadata": {"a": "x" * 501}})


def test_an_older_client_may_use_older_parameters_and_the_current_one_may_not(sandbox_server):
    coupon = post(sandbox_server, "/v1/coupons", {"percent_off": "10"}).json()["id"]
    data = {"coupon": coupon}
    assert post(sandbox_server, "/v1/promotion_codes", data).status_code == 200
    current = post(sandbox_server, "/v1/promotion_codes", data, **{"Stripe-Version": "2026-10-28.endive"})
    assert refused(current)["param"] == "coupon"


def test_the_same_idempotency_key_makes_one_object_and_replays_the_answer(sandbox_server):
    first = post(sandbox_server, "/v1/products", {"name": "A"}, **{"Idempotency-Key": "k"})
    again = post(sandbox_server, "/v1/products", {"name": "A"}, **{"Idempotency-Key": "k"})
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["original-request"] == first.headers["request-id"]
    assert sandbox_server.sandbox.store.count("product") == 1


def test_an_idempotency_key_also_replays_a_refusal(sandbox_server):
    data = {"currency": "usd", "unit_amount": "1", "product": "prod_none"}
    first = post(sandbox_server, "/v1/prices", data, **{"Idempotency-Key": "k"})
    again = post(sandbox_server, "/v1/prices", data, **{"Idempotency-Key": "k"})
    assert (first.status_code, first.content) == (again.status_code, again.content) == (400, first.content)
    assert again.headers["idempotent-replayed"] == "true"


def test_a_wrong_parameter_does_not_use_up_an_idempotency_key(sandbox_server):
    assert post(sandbox_server, "/v1/products", {}, **{"Idempotency-Key": "k"}).status_code == 400
    assert post(sandbox_server, "/v1/products", {"name": "A"}, **{"Idempotency-Key": "k"}).status_code == 200


@pytest.mark.parametrize(("path", "data"), [("/v1/products", {"name": "B"}), ("/v1/customers", {})])
def test_an_idempotency_key_serves_one_request_only(sandbox_server, path, data):
    post(sandbox_server, "/v1/products", {"name": "A"}, **{"Idempotency-Key": "k"})
    error = refused(post(sandbox_server, path, data, **{"Idempotency-Key": "k"}))
    assert error["type"] == "idempotency_error"


def test_two_requests_at_once_with_one_key_make_one_object(sandbox_server):
    def send(_):
        return post(sandbox_server, "/v1/products", {"name": "A"}, **{"Idempotency-Key": "k"}).json()["id"]

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(send, range(16)))) == 1
    assert sandbox_server.sandbox.store.count("product") == 1


def test_a_rate_limit_on_request_answers_429_that_may_be_retried(sandbox_factory):
    server = sandbox_factory(rate_limit=3)
    answers = [httpx.get(server.url + "/v1/products", headers=AUTH) for _ in range(5)]
    limited = [answer for answer in answers if answer.status_code == 429]
    assert limited
    assert limited[0].json()["error"]["code"] == "rate_limit"
    assert limited[0].headers["stripe-should-retry"] == "true"


def test_a_refused_request_changes_nothing(stripe_client, sandbox_server):
    with pytest.raises(stripe.InvalidRequestError):
        stripe_client.v1.products.create({"name": "A", "default_price_data": {"currency": "usd"}})
    assert sandbox_server.sandbox.store.count("product") == 0
    assert stripe_client.v1.events.list().data == []


async def test_the_sdks_asynchronous_client_works_too(sandbox_server):
    http = stripe.HTTPXClient()
    client = sandbox_server.client(http_client=http)
    made = await client.v1.products.create_async({"name": "A"})
    assert [each.id async for each in (await client.v1.products.list_async()).auto_paging_iter()] == [made.id]
    await http.close_async()
