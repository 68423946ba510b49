"""The commands, queries and settings of the pages, as they stand there, against what `make dev` starts.

They run in a folder that has what a clone has, so that nothing of the developer's own state is touched. Only addresses,
ports and what a page leaves to the reader ("…") are filled in.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from mcp import Client, StdioServerParameters
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from harness.billing_libraries import TABLES, fill_tables
from harness.fronts import nginx_with
from harness.gateway import listening, serve
from harness.pages import blocks
from harness.paths import ROOT
from harness.waiting import answering, eventually, free_port

pytestmark = pytest.mark.soak

OPERATOR = f"op_{'a' * 40}"
SERVICE_TOKEN = "the-token-of-my-back-end"
BOUGHT = {"payment_method": "pm_card_visa", "invoice_settings[default_payment_method]": "pm_card_visa"}


@dataclass
class Dev:
    """What `make dev` runs, and a reader at a terminal beside it."""

    folder: Path
    url: str
    stripe: str
    environment: dict[str, str]
    client: httpx.Client

    def filled(self, text, **places):
        """A block as a reader has it on this machine."""
        here = {"http://127.0.0.1:8000": self.url, "http://127.0.0.1:12111": self.stripe}
        for place, value in {**here, "https://billing.example.com": self.url, **places}.items():
            text = text.replace(place, value)
        return text

    def run(self, text, *, typed="", **environment):
        """What the commands of a block print; none of them may fail."""
        command = ["bash", "-euo", "pipefail", "-c", self.filled(text)]
        given = {**self.environment, **environment}
        result = subprocess.run(
            command, cwd=self.folder, env=given, input=typed, capture_output=True, text=True, timeout=120, check=False
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def data(self, text, token="", **places):
        """What a query of a page gives."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        query = {"query": self.filled(text, **places)}
        answer = self.client.post(f"{self.url}/graphql", json=query, headers=headers).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def at_stripe(self, path, **parameters):
        headers = {"Authorization": "Bearer sk_test_any"}
        method = "POST" if parameters else "GET"
        answer = self.client.request(method, f"{self.stripe}/v1/{path}", data=parameters or None, headers=headers)
        return answer.raise_for_status().json()

    def subscribed(self, user):
        """A subscription of a user to the plan Pro."""
        (price,) = self.at_stripe("prices?lookup_keys[]=pro_monthly")["data"]
        customer = self.at_stripe("customers", **{"metadata[external_id]": user}, **BOUGHT)["id"]
        return self.at_stripe("subscriptions", customer=customer, **{"items[0][price]": price["id"]})["id"]


@pytest.fixture(scope="module")
def dev(tmp_path_factory):
    """The gateway, by the first command of docs/gate-a-feature.md."""
    start, *_ = blocks("gate-a-feature", "sh")
    folder, ports = tmp_path_factory.mktemp("clone"), (free_port(), free_port())
    for path in (each for each in ROOT.iterdir() if each.name not in {".gateway", ".venv", "dist", ".env"}):
        (folder / path.name).symlink_to(path)
    (folder / ".venv").mkdir()  # newer than the locks, so that nothing is installed
    for path in ((ROOT / ".venv") / name for name in ("bin", "lib", "pyvenv.cfg")):
        (folder / ".venv" / path.name).symlink_to(path)
    (folder / ".venv/runtime").touch()
    basis = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    own = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ARGS": f"--port {ports[0]} --stripe-port {ports[1]}",
        "GATEWAY_SERVICE_TOKEN": SERVICE_TOKEN,
        "GATEWAY_CONSOLE": "on",
        "GATEWAY_OPERATOR_TOKENS": f"ann:act:{OPERATOR}",
    }
    url, stripe = (f"http://127.0.0.1:{port}" for port in ports)
    said = folder / "said"
    with said.open("w") as output:
        process = subprocess.Popen(
            ["bash", "-c", start], cwd=folder, env=basis | own, stdout=output, stderr=output, start_new_session=True
        )
        try:
            answering(f"{url}/healthz", process, said.read_text)
            with httpx.Client(timeout=20) as client:
                yield Dev(folder, url, stripe, basis | {"PATH": own["PATH"], "OPERATOR_TOKEN": OPERATOR}, client)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)


def test_what_make_is_asked_for_is_there(dev):
    """The module itself starts `make dev`, and CI has played the others: here they are only read."""
    (contributing,), (quickstart,) = blocks("CONTRIBUTING", "sh"), blocks("quickstart", "sh")[:1]
    lines = [*contributing.splitlines(), *quickstart.splitlines(), *blocks("README", "sh")[0].splitlines()]
    assert len(lines) > 10
    for line in lines:
        command = line.partition("  #")[0].strip()
        assert command.startswith("make ")
        assert dev.run(f"{command} --dry-run"), line


def test_the_query_of_the_readme_gives_the_answer_of_the_readme(dev):
    (_, ask), (answer,) = blocks("README", "sh"), blocks("README", "json")
    assert json.loads(dev.run(ask)) == json.loads(answer)


def test_the_quick_start_asks_signs_in_and_lets_time_pass(dev):
    _, ask, sign_in, later = blocks("quickstart", "sh")
    first, *_ = json.loads(dev.run(ask))["data"]["pricing"]["products"]
    assert first["plans"][0]["amount"]["formatted"].startswith("€")
    token = json.loads(dev.run(sign_in))["token"]
    assert dev.data("{ viewer { id } }", token) == {"viewer": {"id": "user_ada"}}
    before = dev.at_stripe("../_sandbox/clock")["now"]
    dev.run(later)
    assert dev.at_stripe("../_sandbox/clock")["now"] >= before + 32 * 86_400


def test_the_commands_of_the_gated_feature(dev):
    _, serve_page, ask, give = blocks("gate-a-feature", "sh")
    (html,) = blocks("gate-a-feature", "html")
    (dev.folder / "my-page").mkdir()
    (dev.folder / "my-page/index.html").write_text(html)
    port = free_port()
    command = ["bash", "-c", serve_page.replace("5173", str(port))]
    page = subprocess.Popen(command, cwd=dev.folder, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        answering(f"http://127.0.0.1:{port}", page)
        assert "<billing-access" in dev.client.get(f"http://127.0.0.1:{port}").text
    finally:
        os.killpg(page.pid, signal.SIGTERM)
        page.wait(20)
    assert "403" in (refused := dev.run(ask)).splitlines()[0]
    assert '"NO_SUBSCRIPTION"' in refused
    assert json.loads(dev.run(give))["metadata"]["features"] == "automation,exports"


def test_credits_are_spent_and_tokens_sold(dev):
    spend, sell = blocks("credits-and-usage", "sh")
    answer = json.loads(dev.run(spend))["data"]
    assert answer["spendCredits"] == {"credits": {"balance": 95}, "userErrors": []}
    assert json.loads(dev.run(sell))["metadata"]["limit_tokens"] == "100"


def test_the_queries_of_the_checkout_and_of_a_back_end(dev):
    pricing, buy = blocks("checkout", "graphql")
    shown = dev.data(pricing)["pricing"]
    assert "EUR" in shown["currencies"]
    assert all(plan["interval"] == "MONTH" for product in shown["products"] for plan in product["plans"])
    bought = dev.data(buy)["createCheckoutSession"]
    assert bought["userErrors"] == []
    assert bought["session"]["url"].startswith(dev.stripe)

    (cancel,) = blocks("back-end", "graphql")
    subscription = dev.subscribed("user_1")
    mine = '{ customer(externalId: "user_1") { subscription { id } } }'
    eventually(lambda: (dev.data(mine, SERVICE_TOKEN)["customer"] or {}).get("subscription"), {"id": subscription})
    cancelled = dev.data(cancel, SERVICE_TOKEN, sub_123=subscription)["cancelSubscription"]
    assert cancelled == {"subscription": {"willCancel": True}, "userErrors": []}


def test_nginx_and_the_client_in_python_let_in_who_has_paid(dev):
    (locations,), (ask,) = blocks("access", "nginx"), blocks("access", "python")
    pro = dev.at_stripe("prices?lookup_keys[]=pro_monthly")["data"][0]["product"]
    dev.at_stripe(f"products/{pro}", **{"metadata[features]": "automation,exports"})
    dev.subscribed("payer")
    listener, application = listening()
    exports = Route("/exports/{name}", lambda _: PlainTextResponse("a file"))
    given = f'set $user_id $http_x_user; set $service_token "{SERVICE_TOKEN}";\n{locations}'
    ports = {"gateway": int(dev.url.rpartition(":")[2]), "application": int(application.rpartition(":")[2])}
    with serve(Starlette(routes=[exports]), listener), nginx_with(given, **ports) as port:

        def asked(user):
            return dev.client.get(f"http://127.0.0.1:{port}/exports/1", headers={"X-User": user}).status_code

        eventually(lambda: asked("payer"), 200)
        assert asked("nobody") == 403
    for user, refused in (("payer", False), ("nobody", True)):
        page = {"service_token": SERVICE_TOKEN, "user_id": user, "refused": False}
        exec(dev.filled(ask).replace("...", "refused = True"), page)  # noqa: S102 - the page's own
        page["billing"].close()
        assert page["refused"] is refused


def test_an_operator_asks_and_so_does_an_assistant(dev):
    (ask,) = blocks("console", "sh")
    assert json.loads(dev.run(ask)) == {"data": {"operator": {"events": {"nodes": []}}}}
    (serve_tools,) = blocks("assistants", "sh")
    install, *commands = serve_tools.splitlines()
    assert install.startswith("pip install")  # from an index that this version is not on
    dev.run("\n".join(commands).replace("op_…", OPERATOR))  # nobody speaks to it: it ends


async def test_an_assistants_configuration_serves_the_tools(dev):
    (configuration,) = blocks("assistants", "json")
    server = json.loads(dev.filled(configuration, **{"op_…": OPERATOR}))["mcpServers"]["billing"]
    server["command"] = shutil.which(server["command"], path=dev.environment["PATH"])
    async with Client(StdioServerParameters(**server)) as client:
        answer = await client.call_tool("find_customers", {"search": "nobody"})
    assert json.loads(answer.content[0].text)["customers"]["nodes"] == []


def test_prices_are_pulled_planned_and_pushed(dev):
    (commands,) = blocks("pricing", "sh")
    said = dev.run(commands, typed="y\n")
    assert "prod_NwPro000000001" in (dev.folder / "prices.yaml").read_text()
    assert said.count("nothing would change") == 2, said  # planned, and pushed


def test_each_library_is_read_by_its_command(dev):
    (commands,) = blocks("moving-in", "sh")
    where, *imports = commands.splitlines()
    database = f"sqlite:///{dev.folder}/application.db"
    for name in TABLES:
        fill_tables(database, name)
    assert len(imports) == len(TABLES)
    for line in imports:
        given = re.sub(r"=\S+", f"={database}", where)
        said = dev.run(f"{given}\n{line.partition(' #')[0]} || test $? = 1")  # none of the customers is at this Stripe
        assert "cus_1" in said, said


def test_the_setting_of_an_endpoint_is_one(dev):
    setting, beside_dev = blocks("outbound", "sh")
    (make,) = re.findall(r"Make each secret with `([^`]+)`", (ROOT / "docs/outbound.md").read_text())
    load = 'python -c "from gateway.settings import Settings; print(Settings.load().outbound_endpoints)"'
    out = dev.run(f"export {setting.strip().replace('whsec_…', f'$({make})')}\n{load}")
    assert "https://app.example.com/hooks" in out
    out = dev.run(beside_dev.replace("make dev", load))
    assert "http://127.0.0.1:3000/hooks" in out


def test_histories_are_simulated(dev):
    (shown,) = blocks("simulation", "console")
    commands = "\n".join(line.removeprefix("$ ") for line in shown.splitlines())
    assert "4711" in dev.run(commands.replace("--seconds 60", "--seconds 1"))
