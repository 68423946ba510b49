"""Webhooks: what is sent, how it is signed, what happens when it is not taken."""

import json
import time

import httpx
import pytest
import stripe


@pytest.fixture
def hooked(sandbox_factory, receiver):
    """Starts a sandbox that sends everything to `receiver`, with fast retries."""

    def start(**options):
        options = {"webhook_secret": "whsec_test", "retry_factor": 0.0001, **options}
        return sandbox_factory(forward_to=receiver.url, **options)

    return start


def make_product(server):
    return server.client().v1.products.create({"name": "A"})


def lever(server, path, **body):
    answer = httpx.post(f"{server.url}/_sandbox{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


SECRET = "whsec_test"


def verified(receiver, index=0, secret=SECRET):
    body, headers = receiver.arrived[index]
    return stripe.Webhook.construct_event(body, headers["Stripe-Signature"], secret)


def test_an_event_arrives_signed_so_that_the_sdk_accepts_it(hooked, receiver):
    server = hooked()
    product = make_product(server)
    assert receiver.wait_for(1) == ["product.created"]
    event = verified(receiver)
    assert event.data.object.id == product.id
    assert event.request.id.startswith("req_")
    assert receiver.arrived[0][0].startswith(b'{\n  "id": "evt_')


def test_an_event_says_how_far_the_time_was_moved_for_everybody(hooked, receiver):
    server = hooked()
    v1 = server.client().v1
    clock = v1.test_helpers.test_clocks.create({"frozen_time": int(time.time())})
    v1.customers.create({"test_clock": clock.id})
    v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": clock.frozen_time + 400 * 86_400})
    receiver.wait_for_type("test_helpers.test_clock.ready")
    assert {headers["Offline-Stripe-Ahead"] for _, headers in receiver.arrived} == {"0"}
    server.advance(86_400)
    make_product(server)
    receiver.wait_for_type("product.created")
    assert receiver.arrived[-1][1]["Offline-Stripe-Ahead"] in ("86399", "86400")


def test_previous_attributes_hold_only_what_changed(hooked, receiver):
    server = hooked()
    product = make_product(server)
    server.client().v1.products.update(product.id, {"name": "B", "metadata": {"k": "v"}})
    receiver.wait_for(2)
    before = verified(receiver, 1).data.previous_attributes.to_dict()
    assert before == {"metadata": {"k": None}, "name": "A"} | (
        {"updated": before["updated"]} if "updated" in before else {}
    )


def test_only_updates_and_refunds_tell_what_was_before(stripe_client):
    """docs.stripe.com/api/events/object ("only in events of type `*.updated`"); refunds as public copies show."""
    v1 = stripe_client.v1
    returns = {"automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}
    paid = {"amount": 1000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True, **returns}
    v1.refunds.create({"payment_intent": v1.payment_intents.create(paid).id, "amount": 400})
    told = {each.type: each.data.to_dict() for each in v1.events.list({"limit": 20}).data}
    assert told["charge.refunded"]["previous_attributes"]["amount_refunded"] == 0
    assert "previous_attributes" not in told["payment_intent.succeeded"]


def test_an_update_that_changes_nothing_sends_nothing(hooked, receiver):
    server = hooked()
    customer = server.client().v1.customers.create({"name": "A"})
    server.client().v1.customers.update(customer.id, {"name": "A"})
    server.client().v1.customers.update(customer.id, {"name": "B"})
    assert receiver.wait_for(2) == ["customer.created", "customer.updated"]


def test_an_endpoint_of_the_api_gets_only_the_types_it_wants(stripe_client, receiver):
    made = stripe_client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["customer.created"]})
    stripe_client.v1.products.create({"name": "A"})
    stripe_client.v1.customers.create({})
    assert receiver.wait_for(1) == ["customer.created"]
    verified(receiver, secret=made.secret)
    assert "secret" not in stripe_client.v1.webhook_endpoints.retrieve(made.id).to_dict()


def test_a_disabled_endpoint_gets_nothing_until_it_is_enabled(stripe_client, receiver):
    v1 = stripe_client.v1
    made = v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    assert v1.webhook_endpoints.update(made.id, {"disabled": True}).status == "disabled"
    v1.customers.create({})
    v1.webhook_endpoints.update(made.id, {"disabled": False})
    v1.products.create({"name": "A"})
    assert receiver.wait_for(1) == ["product.created"]


def test_an_endpoint_needs_a_url(stripe_client):
    with pytest.raises(stripe.InvalidRequestError, match="Invalid URL"):
        stripe_client.v1.webhook_endpoints.create({"url": "ftp://x", "enabled_events": ["*"]})


def test_a_refused_event_is_sent_again_until_it_is_taken(hooked, receiver):
    server = hooked()
    receiver.answers = [500, 503]
    make_product(server)
    assert receiver.wait_for(3) == ["product.created"] * 3
    (event,) = server.client().v1.events.list().data
    (delivery,) = server.settled(event=event.id)
    assert delivery["status"] == "delivered"
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 503, 200]


def test_an_event_counts_the_endpoints_that_have_not_taken_it(hooked, receiver):
    server = hooked()
    receiver.answers = [500]
    make_product(server)
    receiver.wait_for(2)
    first = verified(receiver)
    assert first.pending_webhooks == 1
    assert server.settled()[0]["status"] == "delivered"
    assert server.client().v1.events.retrieve(first.id).pending_webhooks == 0


def test_a_failing_event_does_not_hold_up_the_next(hooked, receiver):
    server = hooked(retry_factor=0.004)  # again after 1.2 seconds: time enough for another event
    receiver.answers = [500]
    make_product(server)
    server.client().v1.customers.create({})
    assert receiver.wait_for(3) == ["product.created", "customer.created", "product.created"]


def test_an_event_can_be_sent_again_by_hand(hooked, receiver):
    server = hooked()
    make_product(server)
    receiver.wait_for(1)
    event = server.client().v1.events.list().data[0]
    lever(server, f"/events/{event.id}/resend")
    assert receiver.wait_for(2) == ["product.created"] * 2
    assert verified(receiver, 1).id == event.id


def test_a_rolled_secret_signs_beside_the_new_one_for_a_while(stripe_client, sandbox_server, receiver):
    made = stripe_client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    rolled = lever(sandbox_server, f"/webhook_endpoints/{made.id}/roll_secret", expires_in=60)
    stripe_client.v1.customers.create({})
    receiver.wait_for(1)
    assert rolled["secret"] != made.secret
    verified(receiver, secret=made.secret)
    verified(receiver, secret=rolled["secret"])


def test_chaos_duplicates_events(hooked, receiver):
    make_product(hooked(chaos={"duplicate": 1}))
    assert receiver.wait_for(2) == ["product.created"] * 2


def test_chaos_drops_events_for_good(hooked, receiver):
    server = hooked()
    lever(server, "/chaos", drop=1)
    make_product(server)
    lever(server, "/chaos", drop=0)
    server.client().v1.customers.create({})
    assert receiver.wait_for(1) == ["customer.created"]
    assert {each["type"]: each["status"] for each in server.deliveries()}["product.created"] == "dropped"


def test_chaos_lets_a_later_event_overtake(hooked, receiver):
    server = hooked()
    lever(server, "/chaos", delay=1, delay_seconds=0.5)
    make_product(server)
    lever(server, "/chaos", delay=0)
    server.client().v1.customers.create({})
    assert receiver.wait_for(2) == ["customer.created", "product.created"]


def test_chaos_signs_wrongly_once_and_rightly_in_the_retry(hooked, receiver):
    server = hooked(chaos={"bad_signature": 1})
    receiver.answers = [400]
    make_product(server)
    receiver.wait_for(2)
    with pytest.raises(stripe.SignatureVerificationError):
        verified(receiver, 0)
    assert verified(receiver, 1).type == "product.created"


def test_chaos_cuts_the_connection_and_sends_again(hooked, receiver):
    server = hooked(chaos={"cut": 1})
    make_product(server)
    assert receiver.wait_for(1) == ["product.created"]
    attempts = server.deliveries()[0]["attempts"]
    assert "cut" in attempts[0]["error"]


def test_chaos_signs_with_the_former_secret(stripe_client, sandbox_server, receiver):
    made = stripe_client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    rolled = lever(sandbox_server, f"/webhook_endpoints/{made.id}/roll_secret", expires_in=60)
    lever(sandbox_server, "/chaos", old_secret=1)
    stripe_client.v1.customers.create({})
    receiver.wait_for(1)
    verified(receiver, secret=made.secret)
    with pytest.raises(stripe.SignatureVerificationError):
        verified(receiver, secret=rolled["secret"])


def test_the_same_seed_strikes_the_same_deliveries(sandbox_factory):
    def fates():
        server = sandbox_factory(forward_to="http://127.0.0.1:9/x", chaos={"drop": 0.5, "seed": 7})
        for _ in range(20):
            server.client().v1.customers.create({})
        return [each["status"] == "dropped" for each in server.deliveries()]

    first = fates()
    assert first == fates()
    assert {True, False} == set(first)


def test_a_call_is_as_long_on_its_way_as_is_asked_for(sandbox_server):
    lever(sandbox_server, "/chaos", latency_seconds=0.2)
    began = time.monotonic()
    sandbox_server.client().v1.customers.list()
    assert time.monotonic() - began >= 0.2
    lever(sandbox_server, "/chaos", latency_seconds=0)


@pytest.mark.parametrize("body", [{"drop": 2}, {"earthquake": 1}, {"latency_seconds": -1}])
def test_chaos_that_makes_no_sense_is_refused(sandbox_server, body):
    assert httpx.post(f"{sandbox_server.url}/_sandbox/chaos", json=body).status_code == 400


def test_a_lever_is_not_pulled_by_a_foreign_web_page(sandbox_server):
    answer = httpx.post(f"{sandbox_server.url}/_sandbox/reset", content=b"{}", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


def test_a_thin_destination_gets_a_note_that_leads_to_the_object(stripe_client, receiver):
    made = stripe_client.v2.core.event_destinations.create(
        {
            "name": "thin",
            "type": "webhook_endpoint",
            "event_payload": "thin",
            "enabled_events": ["v1.customer.created"],
            "webhook_endpoint": {"url": receiver.url},
            "include": ["webhook_endpoint.signing_secret"],
        }
    )
    stripe_client.v1.products.create({"name": "A"})
    customer = stripe_client.v1.customers.create({"name": "Ada"})
    assert receiver.wait_for(1) == ["v1.customer.created"]
    body, headers = receiver.arrived[0]
    secret = made.webhook_endpoint.signing_secret
    note = stripe_client.parse_event_notification(body, headers["Stripe-Signature"], secret)
    assert (note.type, note.related_object.id) == ("v1.customer.created", customer.id)
    assert note.fetch_related_object().name == "Ada"
    assert note.fetch_event().snapshot_event == stripe_client.v1.events.list().data[0].id


def test_event_destinations_are_listed_changed_and_deleted(stripe_client):
    destinations = stripe_client.v2.core.event_destinations
    for n in range(3):
        destinations.create(
            {
                "name": str(n),
                "type": "webhook_endpoint",
                "event_payload": "thin",
                "enabled_events": ["*"],
                "webhook_endpoint": {"url": "http://127.0.0.1:9/"},
            }
        )
    found = list(destinations.list({"limit": 2}).auto_paging_iter())
    assert [each.name for each in found] == ["2", "1", "0"]
    assert destinations.disable(found[0].id).status == "disabled"
    assert destinations.update(found[0].id, {"name": "new"}).name == "new"
    destinations.delete(found[0].id)
    assert len(destinations.list().data) == 2
    assert stripe_client.v1.webhook_endpoints.list().data == []


def test_events_are_listed_by_type_and_wildcard(stripe_client):
    stripe_client.v1.products.create({"name": "A"})
    stripe_client.v1.customers.create({})
    types = [each.type for each in stripe_client.v1.events.list({"type": "customer.*"}).data]
    assert types == ["customer.created"]
    assert len(stripe_client.v1.events.list({"types": ["product.created", "x"]}).data) == 1


def test_the_body_is_json_whose_event_the_api_shows_too(hooked, receiver):
    server = hooked()
    make_product(server)
    receiver.wait_for(1)
    sent = json.loads(receiver.arrived[0][0])
    shown = server.client().v1.events.retrieve(sent["id"]).to_dict()
    assert {**sent, "pending_webhooks": 0} == {**shown, "pending_webhooks": 0}
