"""The page for who sells an AI's answers: its blocks run one after the other, and end with the invoice."""

import pytest

from harness.checkout import buy
from harness.gateway import SERVICE_TOKEN
from harness.pages import blocks
from harness.subscriptions import price_id


def test_from_the_plan_to_the_invoice(world, monkeypatch, request):
    environment = {"STRIPE_URL": world.stripe_url, "BILLING_URL": world.url, "GATEWAY_SERVICE_TOKEN": SERVICE_TOKEN}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    page: dict = {}
    request.addfinalizer(lambda: [page[name].close() for name in ("stripe", "billing") if name in page])
    for block in blocks("ai-product", "python"):
        exec(block, page)  # noqa: S102 - the page's own
    token = world.token("ada")
    keys = "assistant", "assistant_tokens"
    world.eventually(lambda: all(world.rows("price", id=price_id(world, key)) for key in keys))
    world.eventually(lambda: world.rows("meter", event_name="tokens"))
    buy(world, token, *keys)
    world.eventually(lambda: [row["status"] for row in world.rows("subscription")], ["active"])

    def answer(key, tokens):
        return page["answer"]("ada", {"id": key, "text": "Why?"}, lambda text: (f"{text} Because.", tokens))

    assert answer("q1", 700) == answer("q1", 700) == "Why? Because."
    with pytest.raises(ZeroDivisionError):
        page["answer"]("ada", {"id": "q2", "text": "Why?"}, lambda _: 1 / 0)
    assert page["summarise"]("ada", "d1") == page["summarise"]("ada", "d1")
    wrong = page["summarise"]("ada", "d2")
    assert wrong["count"]["used"] == 800
    assert page["take_back"](wrong)["userErrors"] == []
    assert page["cap"]("ada", 150)["spendCap"]["formatted"] == "$1.50"
    assert answer("q3", 300) == "SPEND_CAP_REACHED"  # 800 more might cost 2.75
    assert page["cap"]("ada", 300)["spendCap"]["amount"] == 300
    assert answer("q4", 450) == "Why? Because."

    (query,) = blocks("ai-product", "graphql")
    left = world.data(query, headers=token)["viewer"]["access"]
    assert {name: left[name] for name in ("allowed", "limit", "used", "remaining", "overage")} == {
        "allowed": True, "limit": 1000, "used": 1200, "remaining": 0, "overage": True,
    }  # fmt: skip
    world.eventually(lambda: {row["status"] for row in world.rows("usage_record")}, {"sent"})

    (held,) = world.stripe("GET", "/v1/subscriptions")["data"]
    world.advance(to=held["items"]["data"][0]["current_period_end"] + 2 * 3600)
    newest = world.stripe("GET", "/v1/invoices", subscription=held["id"])["data"][0]
    assert (newest["status"], newest["total"]) == ("paid", 2_000 + 100)  # 200 beyond the limit, at half a cent
