"""Print what OpenFeature's provider for Python makes of the gateway's answers.

Usage: python flags.py URL SERVICE_TOKEN USER
"""

import json
import sys

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

url, token, user = sys.argv[1:]
api.set_provider(OFREPProvider(url, headers_factory=lambda: {"Authorization": f"Bearer {token}"}))
client = api.get_client()
asked = [*((key, EvaluationContext(user)) for key in ("boards", "sso", "nothing")), ("boards", EvaluationContext())]
found = [client.get_boolean_details(key, default_value=True, evaluation_context=context) for key, context in asked]
print(json.dumps([[each.value, each.error_code, each.flag_metadata.get("reason")] for each in found]))  # noqa: T201
