"""OpenTelemetry: what a real collector gets over OTLP/HTTP."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from harness.gateway import SECRET, SERVICE, make_world

CALLER = "0af7651916cd43dd8448eb211c80319c"
BUY = """mutation Buy($to: String!, $who: String!) {
  createCheckoutSession(input: {lineItems: [{lookupKey: "starter_monthly"}], successUrl: $to, customerEmail: $who}) {
    session { id } userErrors { code }
  }
}"""


@pytest.fixture(scope="module")
def collector():
    """A collector of traces; what it gets is kept."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.got.append((self.path, self.headers["X-Team"], ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.url = [], f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def told(collector, new_sqlite):
    """What the collector has got, once a gateway has ended that took deliveries and a purchase."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_HEADERS", "X-Team=billing")
        environment.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=tests")
        with make_world(new_sqlite(), otlp_endpoint=collector.url) as world:
            product = world.stripe("GET", "/v1/products", limit=1)["data"][0]
            torn = world.event("product.updated", {"object": "product", "id": product["id"], "name": "ada@example.com"})
            world.deliver(torn)
            world.eventually(lambda: world.status_of(torn), "applied")
            to = {"to": f"{world.url}/demo", "who": "ada@example.com"}
            traced = {"traceparent": f"00-{CALLER}-b7ad6b7169203331-01"}
            assert world.graphql(BUY, to, traced).json()["data"]["createCheckoutSession"]["session"]
            world.graphql('query Nobody { customer(externalId: "4242424242424242") { id } }', headers=SERVICE)
            world.deliver(world.event("a.b", {"object": "card", "id": "card_1", "number": "4242424242424242"}))
    return collector.got


def spans(told, name=None):
    found = [
        span
        for _, _, request in told
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    return [span for span in found if name is None or span.name == name]


def attributes(span):
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_the_standard_variables_say_where_traces_go_and_whose_they_are(told):
    assert {(path, team) for path, team, _ in told} == {("/v1/traces", "billing")}
    resource = {each.key: each.value.string_value for each in told[0][2].resource_spans[0].resource.attributes}
    assert resource["service.name"] == "billing-gateway"
    assert resource["deployment.environment.name"] == "tests"


def test_a_group_of_deliveries_holds_its_events_and_what_became_of_each(told):
    groups = {span.span_id: span for span in spans(told, "webhook deliveries")}
    inside = [attributes(span) for span in spans(told, "event") if span.parent_span_id in groups]
    assert {("product.updated", "pending"), ("a.b", "ignored")} <= {(each["type"], each["status"]) for each in inside}
    assert all(each["id"].startswith("evt_") for each in inside)


def test_what_an_event_needs_is_fetched_within_its_span(told):
    again = {span.span_id: span for span in spans(told, "events again")}
    calls = [attributes(span) for span in spans(told, "stripe get") if span.parent_span_id in again]
    product = "/v1/products/prod_NwStarter000001"
    assert [call["path"] for call in calls if "/products/" in call["path"]] == [product, f"{product}/features"]
    assert all(call["stripe.request_id"].startswith("req_") for call in calls)


def test_an_operation_has_its_name_its_calls_to_stripe_and_a_link_to_the_callers_trace(told):
    (operation,) = spans(told, "mutation Buy")
    assert spans(told, "query Nobody")
    assert [link.trace_id.hex() for link in operation.links] == [CALLER]
    assert operation.trace_id.hex() != CALLER  # or a stranger could decide what is sampled
    calls = [span for span in spans(told, "stripe post") if span.trace_id == operation.trace_id]
    assert [attributes(span)["path"] for span in calls] == ["/v1/checkout/sessions"]
    assert operation.start_time_unix_nano <= calls[0].start_time_unix_nano < operation.end_time_unix_nano


def test_no_span_holds_a_secret_an_email_a_card_or_a_variable(told):
    everything = "".join(str(request) for _, _, request in told)
    assert "mutation Buy" in everything
    for private in (SECRET, "sk_test", "ada@example", "424242", SERVICE["Authorization"][7:], "/demo"):
        assert private not in everything


def test_a_collector_out_of_reach_holds_up_neither_the_work_nor_the_end(sqlite_url):
    with make_world(sqlite_url, otlp_endpoint="http://127.0.0.1:9") as world:
        assert world.deliver(world.event("a.b", {"object": "thing", "id": "thing_1"})).status_code == 200
        ending = time.monotonic()
    assert time.monotonic() - ending < 5
