"""People with subscriptions, made at the offline Stripe and told to the gateway by its webhooks."""

from typing import Any

from harness.checkout import opened


def price_id(world, lookup_key: str) -> str:
    """The price of a lookup key of the sample catalogue."""
    (found,) = world.stripe("GET", "/v1/prices", **{"lookup_keys[0]": lookup_key})["data"]
    return found["id"]


def customer(world, subject: str, *, card: str = "pm_card_visa", **params: Any) -> str:
    """The customer that a user of the application became by going to the checkout, with a card; the customer's id."""
    opened(world, world.token(subject), "starter_monthly")
    (row,) = world.rows("customer", external_id=subject)
    world.stripe("POST", f"/v1/payment_methods/{card}/attach", customer=row["id"])
    world.eventually(lambda: world.rows("payment_method", customer_id=row["id"]))
    if params:
        world.stripe("POST", f"/v1/customers/{row['id']}", **params)
        world.eventually(lambda: params.items() <= world.rows("customer", id=row["id"])[0].items())
    return row["id"]


def subscribe(world, customer_id: str, lookup_key: str = "starter_monthly", **params: Any) -> dict[str, Any]:
    """A subscription of a customer, once the gateway knows it as Stripe does."""
    (method, *_) = world.stripe("GET", "/v1/payment_methods", customer=customer_id)["data"]
    made = world.stripe(
        "POST",
        "/v1/subscriptions",
        customer=customer_id,
        default_payment_method=method["id"],
        **{"items[0][price]": price_id(world, lookup_key), **params},
    )
    settled(world, made["id"])
    return made


def settled(world, subscription_id: str) -> dict[str, Any]:
    """Wait until the gateway knows a subscription and its latest invoice as Stripe does; Stripe's subscription."""
    theirs = world.stripe("GET", f"/v1/subscriptions/{subscription_id}", **{"expand[0]": "latest_invoice"})
    agrees(world, "subscription", theirs)
    if theirs["latest_invoice"]:
        agrees(world, "invoice", theirs["latest_invoice"])
    return theirs


def agrees(world, table: str, theirs: dict[str, Any]) -> None:
    """Wait until the gateway's row has the status of Stripe's object."""
    world.eventually(lambda: [row["status"] for row in world.rows(table, id=theirs["id"])], [theirs["status"]])


def applied(world, subject: str) -> None:
    """Wait until every event about a user's customer is here and applied."""
    (row,) = world.rows("customer", external_id=subject)
    events = world.stripe("GET", "/v1/events", limit=100)["data"]
    happened = {each["id"] for each in events if each["data"]["object"].get("customer") == row["id"]}
    world.eventually(lambda: len(happened - {row["id"] for row in world.rows("event")}), 0)
    world.eventually(lambda: world.rows("event", status="pending"), [])
