"""What Prometheus reads at `/metrics`: one line here for everything that is counted anywhere."""

from prometheus_client import Counter, Histogram

EVENTS = Counter("gateway_events_total", "Events by what became of them", ["outcome"])
WEBHOOKS_REFUSED = Counter("gateway_webhooks_refused_total", "Deliveries that were not genuine events", ["reason"])
WEBHOOK_SECRET_USED = Counter("gateway_webhook_secret_used_total", "Deliveries by the secret that signed", ["label"])
EVENT_LAG = Histogram(
    "gateway_event_lag_seconds",
    "From the event's creation on Stripe's clock to its being recorded here",
    buckets=(0.5, 1, 2, 5, 15, 60, 300, 3600, 86400),
)
STRIPE_CALLS = Counter("gateway_stripe_calls_total", "Calls to Stripe by how they ended", ["method", "outcome"])
STRIPE_SECONDS = Histogram("gateway_stripe_call_seconds", "How long a call to Stripe took, retries included")
