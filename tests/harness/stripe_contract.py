"""The sandbox's answers and events held against Stripe's API description: the SDK's, and Stripe's own where it is."""

import json
import os
import re
from pathlib import Path
from urllib.parse import quote

import jsonschema_rs
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from gateway.sandbox.api.routing import match
from gateway.sandbox.options import API_VERSION
from harness.sdk_description import describe

ROOT = Path(__file__).parents[2]
PLACES = [os.environ.get("STRIPE_OPENAPI"), ROOT / "../shared/stripe/openapi-subset.json"]


class Recorder:
    """ASGI middleware that keeps every JSON answer of the API in its current version, which alone is described."""

    def __init__(self, app):
        self.app = app
        self.answers = []

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self.app(scope, receive, send)
            return
        status, chunks, version = 0, [], b""

        async def keep(message):
            nonlocal status, version
            status = message.get("status", status)
            version = dict(message.get("headers", ())).get(b"stripe-version", version)
            chunks.append(message.get("body", b""))
            await send(message)

        await self.app(scope, receive, keep)
        if version == API_VERSION.encode():
            self.answers.append((scope["method"], scope["path"], status, b"".join(chunks)))


class Contract:
    """Validators built from the API description on first use."""

    def __init__(self, document):
        self.document = document
        self._document = _as_json_schema(document)
        self._registry = Registry().with_resource("urn:stripe", Resource.opaque(self._document))
        self._fast_registry = jsonschema_rs.Registry([("urn:stripe", self._document)])
        self._fast = {}
        self._paths = [
            (re.compile("^" + re.sub(r"\{\w+\}", "[^/]+", path) + "$"), path)
            for path in sorted(document["paths"], key=lambda path: path.count("{"))
        ]

    @classmethod
    def load(cls):
        """The contracts: of the SDK, and of Stripe's own file where it is at hand, which is stricter."""
        found = cls.place()
        described = [describe(lambda method, path: match(method, path) is not None)]
        return [cls(each) for each in (*described, *([json.loads(found.read_text())] if found else []))]

    @staticmethod
    def place():
        """Where Stripe's own file is, or None."""
        return next((Path(place) for place in PLACES if place and Path(place).is_file()), None)

    def complaints(self, answers, events):
        """What is wrong with these answers and stored events, one line each."""
        found = []
        for method, path, status, body in answers:
            # A list of events shows what is checked event by event below, and would cost the most of all.
            pointer = None if path == "/v1/events" and status == 200 else self._response(method, path, status)
            if pointer:
                found += self._check(pointer, json.loads(body), f"{method} {path} -> {status}")
        for event in events:
            schemas, schema = self._document["components"]["schemas"], event["type"].replace(".", "_") + "_event"
            schema = schema if schema in schemas else "event"
            if schema in schemas:
                shown = {key: value for key, value in event.items() if not key.startswith("_")}
                if event["type"] == "invoice.upcoming":
                    # docs.stripe.com/api/events/types: its invoice has no id, which the description demands of all.
                    assert "id" not in event["data"]["object"]
                    shown["data"] = {"object": {"id": "", **event["data"]["object"]}}
                found += self._check(f"#/components/schemas/{schema}", shown, f"event {event['type']}")
        return list(dict.fromkeys(found))

    def _response(self, method, path, status):
        for pattern, template in self._paths:
            operation = self._document["paths"][template].get(method.lower())
            if operation and pattern.match(path):
                code = str(status) if str(status) in operation["responses"] else "default"
                schema = operation["responses"][code]["content"]["application/json"]["schema"]
                if "$ref" in schema:  # one for all errors, say: making a validator takes a while
                    return schema["$ref"].removeprefix("urn:stripe")
                escaped = quote(template.replace("~", "~0").replace("/", "~1"))
                inner = "content/application~1json/schema"
                return f"#/paths/{escaped}/{method.lower()}/responses/{code}/{inner}"
        return None

    def _check(self, pointer, value, where):
        schema = {"$ref": f"urn:stripe{pointer}"}
        if pointer not in self._fast:
            self._fast[pointer] = jsonschema_rs.Draft202012Validator(schema, registry=self._fast_registry)
        if self._fast[pointer].is_valid(value):
            return []
        # The one in Python takes a hundred times as long, and says better what is wrong.
        errors = Draft202012Validator(schema, registry=self._registry).iter_errors(value)
        return [f"{where}: {error.json_path} {error.message[:300]}" for error in map(_deepest, errors)]


def _deepest(error):
    """Of an `anyOf` that failed, the complaint about the alternative that came furthest."""
    while error.context:
        error = max(error.context, key=lambda each: (len(each.absolute_path), "None" not in each.message))
    return error


def _as_json_schema(node):
    """OpenAPI's `nullable` as JSON schema's, references made absolute, unknown fields of objects refused."""
    if isinstance(node, list):
        return [_as_json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    out = {key: _as_json_schema(value) for key, value in node.items() if key not in ("nullable", "example")}
    if isinstance(out.get("$ref"), str):
        out["$ref"] = "urn:stripe" + out["$ref"]
    if node.get("nullable") is True:
        out = {"anyOf": [out, {"type": "null"}]}
    return out
