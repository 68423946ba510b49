"""A Django project of one file with dj-stripe, unmodified, which finds the offline Stripe by its own STRIPE_API_HOST.

Run as `python project.py URL DATABASE sync [models to leave out]` or `... webhooks`; the last line of the output is
what it stored, as JSON.
"""

import json
import sys
import threading
import time
import uuid
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
import requests
from django.conf import settings
from django.urls import include, path

URL, DATABASE, TASK, *GIVEN = sys.argv[1:]
settings.configure(
    SECRET_KEY="not a secret",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["127.0.0.1"],
    USE_TZ=True,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "djstripe"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE}},
    MIGRATION_MODULES={"djstripe": None},  # its tables at once instead of its history, which takes minutes
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    STRIPE_API_HOST=URL,
    STRIPE_LIVE_MODE=False,
    STRIPE_TEST_SECRET_KEY="sk_test_123456789012345678901234",
    DJSTRIPE_FOREIGN_KEY_TO_FIELD="id",
)
django.setup()
urlpatterns = [path("stripe/", include("djstripe.urls", namespace="djstripe"))]

import stripe  # noqa: E402 - dj-stripe's models need the settings
from django.apps import apps  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from djstripe import models  # noqa: E402


class Quiet(WSGIRequestHandler):
    """Serve without a line for each request."""

    def log_message(self, *arguments):
        """Say nothing."""


def sync(*left_out):
    """Store all models that dj-stripe knows to list but some; any model or object that fails raises."""
    names = [model.__name__ for model in apps.get_app_config("djstripe").get_models()]
    call_command("djstripe_sync_models", *[name for name in names if name not in left_out], fail_on_error=True)


def webhooks():
    """Register dj-stripe's endpoint, let things happen, and wait until their events have been processed."""
    call_command("djstripe_sync_models", "Account", fail_on_error=True)
    server = make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    key = str(uuid.uuid4())
    made = models.WebhookEndpoint._api_create(  # as the form of dj-stripe's admin does
        url=f"http://127.0.0.1:{server.server_port}/stripe/webhook/{key}/",
        enabled_events=["*"],
        metadata={"djstripe_uuid": key},
    )
    models.WebhookEndpoint.sync_from_stripe_data(made)
    stripe.api_key = settings.STRIPE_TEST_SECRET_KEY
    card = {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}
    customer = stripe.Customer.create(email="ada@example.com", **card)
    product = stripe.Product.create(name="Tea")
    price = stripe.Price.create(product=product.id, currency="usd", unit_amount=900, recurring={"interval": "month"})
    subscription = stripe.Subscription.create(customer=customer.id, items=[{"price": price.id}])
    lines = [{"price": price.id, "quantity": 1}]
    session = stripe.checkout.Session.create(mode="subscription", line_items=lines, success_url="https://shop.example")
    stripe.checkout.Session.expire(session.id)
    stripe.Subscription.cancel(subscription.id)
    deadline = time.monotonic() + 60
    while any(each["status"] == "pending" for each in deliveries()) and time.monotonic() < deadline:
        time.sleep(0.1)
    server.shutdown()


def deliveries():
    """Return what the offline Stripe has sent."""
    return requests.get(f"{URL}/_sandbox/deliveries", timeout=10).json()["data"]


def stored():
    """Return the JSON of all objects that dj-stripe keeps, by model and id."""
    kept = {
        model.__name__: dict(model.objects.values_list("id", "stripe_data"))
        for model in apps.get_app_config("djstripe").get_models()
        if {"id", "stripe_data"} <= {field.name for field in model._meta.get_fields()}
    }
    triggers = models.WebhookEventTrigger.objects
    processed = triggers.filter(processed=True).values_list("event__type", flat=True)
    failed = triggers.filter(processed=False).values_list("exception", flat=True)
    return {"objects": kept, "processed": list(processed), "failed": list(failed)}


call_command("migrate", run_syncdb=True, verbosity=0)
{"sync": sync, "webhooks": webhooks}[TASK](*GIVEN)
sys.stdout.write("\n" + json.dumps(stored()))
