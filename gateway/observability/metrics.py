"""The metrics that Prometheus reads at `/metrics`: all are defined here.

Several processes (`gateway serve --workers`) share a folder, named by `PROMETHEUS_MULTIPROC_DIR` before this module is
imported, and any of them answers for all.
"""

import os

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

DELIVERIES = Counter("gateway_deliveries_total", "Genuine deliveries that were received, duplicates included")
EVENTS = Counter(
    "gateway_events_total",
    "Events by their outcome: applied, stale, ignored, pending (a fetch is needed), failed, dead, duplicate, "
    "not_recorded (answered 503)",
    ["outcome"],
)
EVENT_LAG = Histogram(
    "gateway_event_lag_seconds",
    "Seconds from an event's creation, on Stripe's clock, until it was applied",
    buckets=(0.5, 1, 2, 5, 15, 60, 300, 3600, 86400),
)
QUEUE = Gauge("gateway_queue_depth", "Deliveries that wait for their commit", multiprocess_mode="livesum")
GROUP_SECONDS = Histogram("gateway_group_seconds", "Seconds that recording a batch of deliveries took", buckets=SECONDS)
QUEUE_ITEMS = Gauge(
    "gateway_queue_items",
    "Unfinished items of the queues `inbox`, `usage`, `outbox` and `access`: pending, failed (will be retried) and "
    "dead (waits for an operator)",
    ["queue", "status"],
    multiprocess_mode="mostrecent",
)
QUEUE_SECONDS = Histogram(
    "gateway_queue_seconds",
    "Seconds from the moment at which an item of a queue was due until the end of its attempt",
    ["queue"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600),
)
INBOX = Gauge(
    "gateway_inbox_events",
    "Deprecated: the items of the queue `inbox` in gateway_queue_items",
    ["status"],
    multiprocess_mode="mostrecent",
)
OUTBOX_SENT = Counter(
    "gateway_outbox_total",
    "Tries to deliver messages to the application by their outcome: delivered, failed (will be tried again), dead "
    "(waits for an operator)",
    ["outcome"],
)
USAGE_SENT = Counter(
    "gateway_usage_total",
    "Tries to send reported usage to Stripe by their outcome: sent, failed (will be tried again), refused (waits for "
    "an operator), not_counted (Stripe took it and could not count it)",
    ["outcome"],
)
WEBHOOKS_REFUSED = Counter("gateway_webhooks_refused_total", "Deliveries that were not genuine events", ["reason"])
WEBHOOK_SECRET_USED = Counter("gateway_webhook_secret_used_total", "Deliveries by the secret that signed", ["label"])
WEBHOOK_SECRET_LAST_USED = Gauge(
    "gateway_webhook_secret_last_used_seconds",
    "When a secret last signed a delivery, in Unix seconds",
    ["label"],
    multiprocess_mode="max",
)
STRIPE_CALLS = Counter("gateway_stripe_calls_total", "Calls to Stripe by how they ended", ["method", "outcome"])
STRIPE_SECONDS = Histogram("gateway_stripe_call_seconds", "Seconds that a call to Stripe took, retries included")
RECONCILED = Gauge(
    "gateway_reconciled_seconds",
    "When Stripe's own list of events was last read to its end, in Unix seconds",
    multiprocess_mode="max",
)
CACHE = Counter(
    "gateway_cache_total",
    "Lookups in the caches `catalog`, `documents` (parsed operations), `answers` (the same for everybody) and `access`",
    ["cache", "result"],
)
GRAPHQL = Counter(
    "gateway_graphql_operations_total",
    "GraphQL operations by name (`other` unless the document is trusted), field at the root and outcome: ok, refused "
    "(an error that the client can fix), failed (one that it cannot); what the cache `answers` has is not among them",
    ["operation", "field", "outcome"],
)
GRAPHQL_SECONDS = Histogram(
    "gateway_graphql_seconds",
    "Seconds that a GraphQL operation took, a reading of a subscription for itself",
    ["operation", "field"],
    buckets=SECONDS,
)
LIVE_CONNECTIONS = Gauge(
    "gateway_live_connections",
    "WebSockets and event streams of live updates that are open",
    multiprocess_mode="livesum",
)
EVENTS_MISSED = Counter("gateway_events_missed_total", "Events that no delivery brought, found in Stripe's list")
LOG_LINES_LOST = Counter("gateway_log_lines_lost_total", "Log lines that could not be written, such as to a full disk")


def render() -> bytes:
    """Return the metrics of all processes in Prometheus' text format."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
