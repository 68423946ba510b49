"""Send to the offline Stripe at OFFLINE_STRIPE what a program sends to api.stripe.com.

Python imports this file by itself where its folder is on the path. It is for programs that have no option for Stripe's
address; the programs themselves stay as they are.
"""

import os

import requests.adapters

_send = requests.adapters.HTTPAdapter.send


def _send_elsewhere(self, request, *arguments, **options):
    request.url = request.url.replace("https://api.stripe.com", os.environ["OFFLINE_STRIPE"], 1)
    return _send(self, request, *arguments, **options)


requests.adapters.HTTPAdapter.send = _send_elsewhere
