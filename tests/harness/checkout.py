"""Signed-in users who buy: what they ask the gateway, and what they fill in on Stripe's page."""

from typing import Any

CREATE = """mutation($input: CreateCheckoutSessionInput!) { createCheckoutSession(input: $input) {
    session { id url clientSecret status mode amountTotal { amount currency } lineItems { quantity } }
    userErrors { code message field } } }"""
CHECKOUT = "createCheckoutSession(input: $input) { session { id } userErrors { code } }"
BUY = f"mutation($input: CreateCheckoutSessionInput!) {{ {CHECKOUT} }}"
SESSION = """query($id: ID!) { session(id: $id) { id status paymentStatus mode customerEmail
    subscription { id status } } }"""
BACK = "https://shop.example/thanks?session={CHECKOUT_SESSION_ID}"
CARD = {"card_number": "4242 4242 4242 4242", "card_expiry": "12 / 34", "card_cvc": "123", "name": "Ada Lovelace"}


def ask(world, headers, *lines, **input_) -> dict[str, Any]:
    """Create a session; lines are lookup keys or line items."""
    lines = [{"lookupKey": line} if isinstance(line, str) else line for line in lines]
    given = {"lineItems": lines, "successUrl": BACK, **input_}
    return world.data(CREATE, {"input": given}, headers)["createCheckoutSession"]


def opened(world, headers, *lines, **input_) -> dict[str, Any]:
    """A session that was opened without a complaint."""
    answer = ask(world, headers, *lines, **input_)
    assert answer["userErrors"] == []
    return answer["session"]


def codes(answer: dict[str, Any]) -> list[str]:
    """What is to be fixed."""
    return [error["code"] for error in answer["userErrors"]]


def pay(world, session, **form):
    """Fill in the hosted page as a browser without JavaScript does."""
    fields = {"email": "ada@example.com", **CARD, "action": "pay", **form}
    paid = world.client.post(session["url"], data=fields, headers={"Origin": world.stripe_url})
    assert paid.status_code == 303, paid.text
    return paid


def look(world, headers, session):
    """A session as its owner sees it."""
    return world.data(SESSION, {"id": session["id"]}, headers)["session"]


def buy(world, headers, *lines, **input_) -> dict[str, Any]:
    """Open a session, pay it, and see it."""
    session = opened(world, headers, *lines, **input_)
    pay(world, session)
    return look(world, headers, session)


def at_stripe(world, kind: str, **filters) -> list[dict[str, Any]]:
    """What Stripe has of a kind, such as `customers`."""
    return world.stripe("GET", f"/v1/{kind}", limit=100, **filters)["data"]


def purchase(world, **more):
    price = world.data("{ plans(first: 1) { nodes { id } } }")["plans"]["nodes"][0]["id"]
    return {"input": {"lineItems": [{"priceId": price}], "successUrl": "https://shop.example/paid", **more}}
