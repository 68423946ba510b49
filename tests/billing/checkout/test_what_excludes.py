"""What stands against a purchase: plans of one group, a trial that not every plan has, a session paid meanwhile."""

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from harness.checkout import ask, at_stripe, buy, codes, opened, pay
from harness.databases import both_databases, postgres_later
from harness.gateway import make_world
from harness.subscriptions import customer, price_id, subscribe


@pytest.fixture
def ada(world):
    return world.sign_in("ada@example.com")


def offer(world, name: str, **metadata: str) -> str:
    """A product with a monthly price whose lookup key is the product's name, once the gateway sells it."""
    given = {f"metadata[{key}]": text for key, text in metadata.items()}
    product = world.stripe("POST", "/v1/products", name=name, **given)["id"]
    price = {"product": product, "currency": "usd", "unit_amount": 700, "recurring[interval]": "month"}
    made = world.stripe("POST", "/v1/prices", lookup_key=name, **price)
    world.eventually(lambda: world.data("query($id: ID!) { plan(id: $id) { id } }", {"id": made["id"]})["plan"])
    return name


@postgres_later
def test_tiers_of_one_offer_exclude_each_other_other_groups_and_add_ons_do_not(world, ada):
    storage, disk = offer(world, "storage", group="storage"), offer(world, "disk", group="storage")
    seats = offer(world, "seats", addon="true")
    buy(world, ada, "pro_monthly")  # a trial
    assert codes(ask(world, ada, "starter_monthly")) == ["ALREADY_SUBSCRIBED"]
    buy(world, ada, seats)
    buy(world, ada, storage)
    assert codes(ask(world, ada, disk)) == ["ALREADY_SUBSCRIBED"]
    assert codes(ask(world, ada, seats)) == ["ALREADY_SUBSCRIBED"]  # its quantity can be changed
    live = [found["status"] for found in at_stripe(world, "subscriptions")]
    assert sorted(live) == ["active", "active", "trialing"]


def test_where_the_settings_say_so_nothing_excludes_anything(sqlite_url):
    with make_world(sqlite_url, allow_multiple_subscriptions=True) as world:
        ada = world.sign_in("ada@example.com")
        buy(world, ada, "starter_monthly")
        assert opened(world, ada, "pro_monthly")["status"] == "OPEN"


def test_a_plan_without_a_trial_is_charged_also_beside_one_with_a_trial(world, ada):
    both = opened(world, ada, "starter_monthly", "pro_monthly")
    assert both["amountTotal"]["amount"] == 900 + 2900
    guest = opened(world, None, "starter_monthly", "pro_monthly")
    assert guest["amountTotal"]["amount"] == 900 + 2900
    assert opened(world, ada, "pro_monthly")["amountTotal"]["amount"] == 0


def test_a_promotion_code_of_ones_own_is_found_among_others_of_the_same_text(world, ada):
    opened(world, ada, "credits_500")
    (mine,) = at_stripe(world, "customers")
    others = [customer(world, subject) for subject in ("bob", "eve")]
    for number, whose in enumerate([others[0], mine["id"], others[1]]):
        coupon = world.stripe("POST", "/v1/coupons", percent_off=10 * (number + 1), duration="once")["id"]
        promotion = {"promotion[type]": "coupon", "promotion[coupon]": coupon}
        world.stripe("POST", "/v1/promotion_codes", code="THANKS", customer=whose, **promotion)

    assert opened(world, ada, "credits_100", promotionCode="THANKS")["amountTotal"]["amount"] == 400
    assert codes(ask(world, world.token("carl"), "credits_100", promotionCode="THANKS")) == ["PROMOTION_CODE_INVALID"]
    assert codes(ask(world, None, "credits_100", promotionCode="THANKS")) == ["PROMOTION_CODE_INVALID"]


class Between:
    """A server before the offline Stripe, which lets something happen while a call is on its way.

    Args:
        target: the offline Stripe's address.
    """

    def __init__(self, target: str) -> None:
        self.happens = lambda: None
        self.path = ""
        between = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                sent = {key: value for key, value in self.headers.items() if key.lower() not in {"host", "connection"}}
                writes = self.command == "POST"  # it happens before what is written, and after what is read
                if not writes:
                    found = httpx.request(self.command, f"{target}{self.path}", content=body, headers=sent, timeout=20)
                if between.path and self.path.startswith(between.path):
                    between.path = ""
                    between.happens()
                if writes:
                    found = httpx.request(self.command, f"{target}{self.path}", content=body, headers=sent, timeout=20)
                self.send_response(found.status_code)
                for key, value in found.headers.items():
                    if key.lower() not in {"content-length", "transfer-encoding", "connection", "content-encoding"}:
                        self.send_header(key, value)
                self.send_header("Content-Length", str(len(found.content)))
                self.end_headers()
                self.wfile.write(found.content)

            do_GET = do_POST = do_DELETE = answer  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@both_databases
def test_what_is_paid_while_the_subscriptions_are_being_read_is_not_bought_twice(database_url):
    with make_world(database_url) as world:
        between = Between(world.stripe_url)
        settings = world.settings.model_copy(update={"stripe_api_base": between.url})
        world.settings = settings
        with world.twin() as twin:
            ada = world.sign_in("ada@example.com")
            first = opened(twin, ada, "starter_monthly")

            def is_paid() -> None:
                pay(world, first)
                world.eventually(lambda: world.rows("checkout_session", id=first["id"])[0]["status"], "complete")

            between.path, between.happens = f"/v1/checkout/sessions/{first['id']}/expire", is_paid
            answer = ask(twin, ada, "starter_yearly")

            assert codes(answer) in (["EARLIER_SESSION_PAID"], ["ALREADY_SUBSCRIBED"])
            found = {session["id"]: session["status"] for session in at_stripe(world, "checkout/sessions")}
            assert found.pop(first["id"]) == "complete"
            assert set(found.values()) <= {"expired"}, "what was opened beside is closed, and nobody has its address"
        between.close()


CHANGE = """mutation($input: ChangeSubscriptionInput!) { changeSubscription(input: $input) {
    userErrors { code field message } } }"""


@pytest.fixture
def ann(world) -> tuple[str, dict[str, str]]:
    """A customer with a plan of another group than the catalogue's; her subscription and her token."""
    offer(world, "storage", group="storage")
    return subscribe(world, customer(world, "ann"), "storage")["id"], world.token("ann")


def move(gateway, world, ann) -> dict:
    """Change her plan into one of the catalogue's group."""
    its, headers = ann
    given = {"subscriptionId": its, "priceId": price_id(world, "pro_yearly")}
    return gateway.data(CHANGE, {"input": given}, headers)["changeSubscription"]


@both_databases
def test_a_purchase_waits_for_a_change_into_its_group_and_is_refused_then(world, ann):
    between = Between(world.stripe_url)
    world.settings = world.settings.model_copy(update={"stripe_api_base": between.url})
    with world.twin() as twin, ThreadPoolExecutor(1) as pool:
        bought = []

        def buys() -> None:
            bought.append(pool.submit(ask, world, ann[1], "starter_monthly"))
            wait(bought, timeout=0.5)

        between.path, between.happens = "/v1/subscriptions?", buys
        assert codes(move(twin, world, ann)) == []
        assert codes(bought[0].result()) == ["ALREADY_SUBSCRIBED"]
        assert "open" not in {found["status"] for found in at_stripe(world, "checkout/sessions")}
    between.close()


@both_databases
@pytest.mark.parametrize("paid", [False, True])
def test_a_change_into_a_group_closes_a_checkout_of_it_or_learns_that_it_was_paid(world, ann, paid):
    first = opened(world, ann[1], "starter_monthly")
    if paid:  # and no event of it comes
        world.client.post(f"{world.stripe_url}/_sandbox/chaos", json={"drop": 1})
        pay(world, first)
    assert codes(move(world, world, ann)) == (["ALREADY_SUBSCRIBED"] if paid else [])
    sessions = {found["id"]: found["status"] for found in at_stripe(world, "checkout/sessions")}
    assert sessions[first["id"]] == ("complete" if paid else "expired")


def test_what_was_bought_elsewhere_counts_too(world, ada):
    opened(world, ada, "credits_100")
    (mine,) = at_stripe(world, "customers")
    world.stripe("POST", "/v1/payment_methods/pm_card_visa/attach", customer=mine["id"])
    subscribe(world, mine["id"], "business_monthly")
    assert codes(ask(world, ada, "starter_monthly")) == ["ALREADY_SUBSCRIBED"]
