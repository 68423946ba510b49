"""The back ends of `docs/examples`, as they stand there, with a real gateway that tells them what happens.

Each hears of a purchase, lets in who has paid, counts what is used, and believes no forged, old or repeated message.
"""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from harness.examples import EXAMPLES, TOOLS, copied, modules, run, started  # noqa: F401 - a fixture
from harness.gateway import SERVICE_TOKEN, make_world
from harness.subscriptions import customer, price_id, subscribe
from harness.waiting import eventually, free_port

pytestmark = pytest.mark.soak

OWN = {
    "fastapi": ("app.py",),
    "django": ("shop/views.py", "shop/models.py", "shop/urls.py"),
    "express": ("server.mjs",),
    "nextjs": ("app/billing.js", "app/hooks/route.js", "app/export/route.js", "app/answers/route.js"),
}
"""What somebody writes beside what the framework's own command to begin with has written."""

SECRET, OTHER = f"whsec_{'a' * 32}", f"whsec_{'b' * 32}"
BODY = '{"type":"invoice.paid","timestamp":"2026-11-30T09:00:00Z","data":{"externalId":"eve"}}'
# Django asks pages for a token that its cookie has too.
TOKEN = {"Content-Type": "application/json", "Cookie": f"csrftoken={'c' * 32}", "X-CSRFToken": "c" * 32}


def command_of(name, port, folder, environment):
    """Build an example; the command that serves it."""
    if name == "fastapi":
        return [sys.executable, "-m", "uvicorn", "app:app", "--port", port]
    if name == "django":
        environment |= {"DJANGO_SETTINGS_MODULE": "django_settings", "PYTHONPATH": f"{folder}:{TOOLS}"}
        django = [sys.executable, "-m", "django"]
        subprocess.run([*django, "migrate", "--run-syncdb", "--verbosity=0"], cwd=folder, env=environment, check=True)
        return [*django, "runserver", "--noreload", port]
    if name == "express":
        return ["node", "server.mjs"]
    run(TOOLS / "node_modules/.bin/next", "build", folder, cwd=TOOLS)
    return [TOOLS / "node_modules/.bin/next", "start", folder, "--port", port]


def signed(secret, name, at=None):
    """The headers of a message that was signed at a time."""
    moment = time.time() if at is None else at
    signature = Webhook(secret).sign(name, datetime.fromtimestamp(int(moment), UTC), BODY)
    return {"webhook-id": name, "webhook-timestamp": str(int(moment)), "webhook-signature": signature}


@pytest.fixture(params=OWN)
def example(request, sqlite_url, tmp_path):
    """A running back end that a gateway tells what happens: the gateway, the back end's client, what it printed."""
    name, port = request.param, str(free_port())
    if name in {"express", "nextjs"}:
        request.getfixturevalue("modules")
    folder, said, url = copied(name, to=f"{name}-server"), tmp_path / "said", f"http://127.0.0.1:{port}"
    with make_world(sqlite_url, outbound_endpoints=f"{url}/hooks {SECRET}") as world:
        environment = {
            **os.environ,
            "BILLING_URL": world.url,
            "GATEWAY_SERVICE_TOKEN": SERVICE_TOKEN,
            "WEBHOOK_SECRET": SECRET,
            "PORT": port,
        }
        command = command_of(name, port, folder, environment)
        with said.open("w") as output, httpx.Client(base_url=url, headers=TOKEN, timeout=20) as client:
            options = {"stdout": output, "stderr": subprocess.STDOUT}
            with started(command, f"{url}/nothing", cwd=folder, env=environment, **options):
                yield world, client, said.read_text


def test_it_hears_what_is_true_lets_in_who_has_paid_and_counts(example, request):
    world, client, said = example
    price = price_id(world, "starter_monthly")
    plan = world.stripe("GET", f"/v1/prices/{price}")["product"]
    metadata = {"features": "tokens, exports", "limit_tokens": "100", "use_tokens": "counter"}
    world.stripe("POST", f"/v1/products/{plan}", **{f"metadata[{key}]": text for key, text in metadata.items()})
    world.eventually(lambda: "use_tokens" in str(world.rows("product", id=plan)[0]["meta"]))
    subscribe(world, customer(world, "ada"))
    eventually(lambda: "subscription.activated ada" in said())

    ada, bob = {"X-User": "ada"}, {"X-User": "bob"}
    assert [client.get("/export", headers=user).status_code for user in (ada, bob)] == [200, 402]
    answers = [client.post("/answers", headers=user) for user in (ada, ada, bob)]
    assert [answer.status_code for answer in answers] == [200, 402, 402]
    assert answers[0].json() == 40
    assert "LIMIT_REACHED" in answers[1].text

    for wrong in (signed(OTHER, "msg_1"), signed(SECRET, "msg_1", time.time() - 600), {}):
        assert client.post("/hooks", content=BODY, headers=wrong).status_code == 400
    assert "invoice.paid eve" not in said()
    right = signed(SECRET, "msg_1")
    assert client.post("/hooks", content=BODY.replace("eve", "mal"), headers=right).status_code == 400
    for _ in range(2):
        assert client.post("/hooks", content=BODY, headers=right).status_code == 204
    eventually(lambda: "invoice.paid eve" in said())
    assert said().count("invoice.paid eve") == 1


@pytest.mark.parametrize("name", OWN)
def test_the_handlers_of_an_example_are_short(name):
    handlers = [file for file in OWN[name] if file not in {"shop/models.py", "shop/urls.py"}]
    lines = [line for file in handlers for line in (EXAMPLES / name / file).read_text().splitlines() if line.strip()]
    assert len(lines) <= 30


def test_the_types_of_the_client_in_python_reach_who_uses_it(tmp_path):
    for wrong, expected in ((None, ""), ('"tokens", 60', 'has incompatible type "str"')):
        source = (EXAMPLES / "fastapi/app.py").read_text()
        (tmp_path / "app.py").write_text(source.replace(wrong, '"tokens", "60"') if wrong else source)
        command = [sys.executable, "-m", "mypy", "--strict", "app.py"]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
        assert bool(result.returncode) == bool(wrong), result.stdout
        assert expected in result.stdout
