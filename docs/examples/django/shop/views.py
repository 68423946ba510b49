"""A back end with Django."""

import os

from django.db import transaction
from django.http import HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from gateway.client import Client, Refused, WebhookError, verify_webhook
from shop.models import Message

billing = Client(os.environ["BILLING_URL"], os.environ["GATEWAY_SERVICE_TOKEN"])


@csrf_exempt
@require_POST
def hear(request):
    try:
        message = verify_webhook(request.body, request.headers, os.environ["WEBHOOK_SECRET"])
    except WebhookError:
        return HttpResponse(status=400)
    with transaction.atomic():  # a message that comes again is known: what it led to and its id are kept together
        if Message.objects.get_or_create(id=message.id)[1]:
            print(message.type, message.data["externalId"], flush=True)
    return HttpResponse(status=204)


def export(request):
    allowed = billing.allowed(request.headers["X-User"], "exports")  # who has signed in: your own way to know
    return HttpResponse("a file" if allowed else "", status=200 if allowed else 402)


@require_POST
def answer(request):
    try:
        left = billing.consume(request.headers["X-User"], "tokens", 60)  # `key`, if it may be asked for again
    except Refused as refused:
        return JsonResponse({"problems": refused.problems}, status=402)
    return JsonResponse(left, safe=False)
