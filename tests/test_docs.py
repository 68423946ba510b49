"""What the README and the pages under docs/ say is so."""

import json
import re
import subprocess
import sys
from importlib.metadata import entry_points

import pytest
import yaml
from graphql import build_schema, parse, validate
from prometheus_client import REGISTRY
from pydantic import SecretStr
from starlette.routing import Match

from gateway import errors
from gateway.billing.figures.report import DEFINITIONS
from gateway.billing.metering import forwarder
from gateway.db import locks
from gateway.graphql.schema import core
from gateway.observability import metrics  # noqa: F401 - it registers them
from gateway.outbound import delivery
from gateway.sandbox import create_sandbox
from gateway.sandbox.scenes import SCENES
from gateway.settings import Settings
from gateway.settings.deprecated import OLD_NAMES
from gateway.settings.load import variable_of
from gateway.webhooks import worker
from gateway.webhooks.handlers import ENDPOINT_EVENTS
from harness.command import commands, run
from harness.paths import ROOT

DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in DOCS}
README, OFFLINE_STRIPE = TEXTS["README.md"], TEXTS["docs/offline-stripe.md"]
DECISIONS = sorted(name for name in TEXTS if re.match(r"docs/decisions/\d", name))


def anchors(text):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 200


def test_what_waits_after_a_kill_is_as_long_as_the_leases():
    table = TEXTS["docs/operating.md"].partition("### After a process was killed")[2].partition("\n## ")[0]
    waits = [int(seconds) for seconds in re.findall(r"^\|.*\| (\d+) s", table, re.MULTILINE)]
    leases = [worker.LEASE, locks.LEASE, delivery.LEASE, forwarder.LEASE]
    assert waits == [lease.total_seconds() for lease in leases]


def test_every_document_in_the_docs_is_valid():
    schema = build_schema((ROOT / "schema.graphql").read_text())
    documents = [block for text in TEXTS.values() for block in re.findall(r"```graphql\n(.*?)```", text, re.DOTALL)]
    bodies = [body for text in TEXTS.values() for body in re.findall(r"-d '(\{\"query\":.*?\})'", text, re.DOTALL)]
    documents += [json.loads(body)["query"] for body in bodies]
    documents += re.findall(r'const query = "(.*)"', TEXTS["docs/graphql.md"])
    assert len(documents) >= 5
    for document in (each for each in documents if not each.startswith("extend schema")):  # of another graph
        assert validate(schema, parse(document)) == [], document


@pytest.mark.parametrize("name", list(TEXTS))
def test_every_link_leads_somewhere(name):
    text = re.sub(r"```.*?```", "", TEXTS[name], flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        if not link.startswith("http"):
            target = ((ROOT / name).parent / path).resolve() if path else ROOT / name
            assert target.exists(), link
            assert target.is_dir() or target.stat().st_size < 400_000, link
            assert not anchor or anchor in anchors(target.read_text()), link


@pytest.mark.parametrize("name", list(TEXTS))
def test_every_file_of_the_repository_that_the_docs_name_is_there(name):
    named = set(re.findall(r"`((?:gateway|tests|docs)/[\w./-]+)`", TEXTS[name]))
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_the_index_names_every_page():
    pages = {path.name for path in ROOT.glob("docs/*.md")} - {"index.md"}
    assert pages == set(re.findall(r"\]\(([\w-]+\.md)\)", TEXTS["docs/index.md"]))


def test_the_site_names_every_page():
    sections = (ROOT / "docs/site/build.py").read_text().partition("SECTIONS = {")[2].partition("}")[0]
    named = {name for names in re.findall(r'"([^"]+)"', sections) for name in names.split()}
    assert {path.stem for path in ROOT.glob("docs/*.md")} - {"index"} <= named


def test_the_map_of_the_code_names_what_is_there():
    code = re.search(r"```\n(gateway/\n.*?)```", README, re.DOTALL).group(1)
    named = {name.rstrip("/") for name in re.findall(r"^  (\w[\w./]*) ", code, re.MULTILINE)}
    there = {path.parent.name for path in ROOT.glob("gateway/*/__init__.py")}
    there |= {path.name for path in ROOT.glob("gateway/*.py")} - {"__init__.py", "__main__.py"}
    assert named == there


def test_compose_explains_every_variable_that_it_reads():
    text = (ROOT / "compose.yaml").read_text()
    head, _, services = text.partition("\nx-hardened")
    read = set(re.findall(r"\$\{(\w+)", services))
    assert read == set(re.findall(r"^#   ([A-Z_]+)  ", head, re.MULTILINE))
    assert "DATABASE_URL" in head


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_every_command_stands_in_the_docs(name):
    assert f"| `{name}` |" in TEXTS["docs/operating.md"]


def default_of(field):
    """A setting's default as the docs write it."""
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    if value in {None, ()}:
        return ""
    if isinstance(value, tuple):
        value = ",".join(str(each) for each in value)
    return f"`{ {True: 'on', False: 'off'}.get(value, value) if isinstance(value, bool) else value }`".replace(" ", "")


@pytest.mark.parametrize("field", list(Settings.model_fields.values()), ids=list(Settings.model_fields))
def test_every_setting_stands_in_the_docs_with_its_description_and_default(field):
    row = re.search(rf"^\| `{variable_of(field)}` \| (.*) \| (.*) \|$", TEXTS["docs/settings.md"], re.MULTILINE)
    assert row, f"no row for {variable_of(field)}"
    assert row.group(1) == field.description
    assert row.group(2).strip().replace(" ", "") == default_of(field)


def test_the_docs_name_no_setting_that_is_not_there():
    known = {variable_of(field) for field in Settings.model_fields.values()}
    for name, text in TEXTS.items():
        named = set(re.findall(r"\b((?:GATEWAY|AUTH)_[A-Z0-9_]+)\b", text.partition("## Deprecated names")[0]))
        assert named - known == set(), name


def test_every_deprecated_name_of_a_setting_stands_in_the_docs_with_the_present_one():
    table = TEXTS["docs/settings.md"].partition("## Deprecated names")[2]
    assert dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|$", table, re.MULTILINE)) == {
        old: new for new, old in OLD_NAMES.items()
    }


def test_the_events_to_choose_at_stripe_are_those_that_are_handled():
    section = TEXTS["docs/webhooks.md"].partition("## The endpoint at Stripe")[2]
    assert re.search(r"```\n(.*?)```", section, re.DOTALL).group(1).split() == list(ENDPOINT_EVENTS)


def test_every_check_of_the_doctor_stands_in_the_docs():
    table = TEXTS["docs/operating.md"].partition("## What `gateway doctor` checks")[2].partition("\n## ")[0]
    named = {name for row in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE) for name in row.split(", ")}
    source = (ROOT / "gateway/operators/checks.py").read_text()
    assert set(re.findall(r'(?:\bCheck\(|\bname = )"([^"]+)"', source)) <= named


def test_every_figure_stands_in_the_docs_with_its_definition():
    assert dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", TEXTS["docs/console.md"], re.MULTILINE)) == DEFINITIONS


def test_every_mutation_of_operators_stands_in_the_docs():
    named = set(re.findall(r"\b(operator[A-Z]\w+)\b", TEXTS["docs/console.md"]))
    assert named == {name for name in core.mutation_type.fields if name.startswith("operator")}


def test_everything_deprecated_in_the_schema_stands_in_the_docs_with_its_day():
    table = re.findall(r"^\| `(\w+\.\w+)` \| ([\d-]+) \|", TEXTS["docs/upgrading.md"], re.MULTILINE)
    fields = {
        (f"{kind.name}.{name}", field.deprecation_reason)
        for kind in build_schema((ROOT / "schema.graphql").read_text()).type_map.values()
        for name, field in getattr(kind, "fields", {}).items()
        if field.deprecation_reason
    }
    assert dict(table) == {name: re.match(r"Until ([\d-]+):", reason).group(1) for name, reason in fields}


def test_every_metric_stands_in_the_docs_with_its_description():
    table = dict(re.findall(r"^\| `(gateway_\w+)` \| \w+ \| (.*) \|$", TEXTS["docs/operating.md"], re.MULTILINE))
    families = [family for family in REGISTRY.collect() if family.name.startswith("gateway_")]
    assert table == {
        family.name + ("_total" if family.type == "counter" else ""): family.documentation for family in families
    }


def classes(base):
    return {base, *(each for child in base.__subclasses__() for each in classes(child))}


def test_every_error_code_stands_in_the_docs():
    codes = {each.code for each in classes(errors.GatewayError)}
    codes -= {errors.SettingsError.code, errors.WebhookRefused.code}  # of the command line, and of Stripe's deliveries
    assert codes <= set(re.findall(r"^\| `([A-Z_]+)` \|", TEXTS["docs/graphql.md"], re.MULTILINE))


def test_the_threat_model_names_a_test_for_each_threat():
    rows = TEXTS["docs/security.md"].partition("## Threats")[2].partition("\n## ")[0].split("\n| ")[2:]
    assert len(rows) > 15
    assert all("`tests/" in row.rpartition(" | ")[2] for row in rows)


def test_every_test_that_the_docs_name_is_there():
    named = {each for text in TEXTS.values() for each in re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", text)}
    assert len(named) > 50
    for each in sorted(named):
        path, _, function = each.partition("::")
        start = rf"^(?:async )?def {function or '(?:test_|main)'}"
        assert re.search(start, (ROOT / path).read_text(), re.MULTILINE), each


def test_the_decisions_are_numbered_and_each_has_its_three_parts():
    assert len(DECISIONS) >= 10
    for number, name in enumerate(DECISIONS, start=1):
        text = TEXTS[name]
        title = re.match(rf"# {number}\. (.*)\n", text)
        assert title, name
        for part in ("Context", "Decision", "Consequences"):
            assert text.count(f"**{part}.**") == 1, name
        link = f"[{title.group(1)}]({name.rpartition('/')[2]})"
        assert link in " ".join(TEXTS["docs/decisions/README.md"].split())


def test_the_hooks_before_a_commit_run_what_make_check_runs():
    recipe = (ROOT / "Makefile").read_text().partition("\nstatic:")[2].partition("\n\n")[0]
    checks = [line.strip().split() for line in recipe.replace("$(BIN)", ".venv/bin").splitlines()[1:]]
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = {hook["entry"].split()[0] for hook in repository["hooks"]}
    assert {words[0] for words in checks} == hooks
    assert len(checks) == len(repository["hooks"])


def test_the_two_files_of_the_example_for_pytest_run_as_they_stand(tmp_path):
    code, test = re.findall(r"```python\n(.*?)```", OFFLINE_STRIPE, re.DOTALL)
    (tmp_path / "tea.py").write_text(code)
    (tmp_path / "test_tea.py").write_text(test)
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n\ndef test_unused():\n    assert not {'stripe', 'starlette', 'uvicorn'} & sys.modules.keys()\n"
    )
    # as the entry point loads it, also where the package was installed before it had one
    plugin = next(iter(entry_points(group="pytest11", name="offline-stripe")), None)
    plugins = [] if plugin else ["-p", "gateway.sandbox.pytest_plugin"]
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", *plugins, "-p", "no:cacheprovider"]
    files = ["test_nothing.py", "test_tea.py"]
    result = subprocess.run(
        [*command, "--rootdir", tmp_path, *files], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert "2 passed" in result.stdout, result.stdout + result.stderr


def test_every_lever_of_the_offline_stripe_exists():
    levers = re.findall(r"`(GET|POST) (/_sandbox/[^`]+)`", OFFLINE_STRIPE)
    assert len(levers) == 12
    routes = create_sandbox().routes
    for method, path in levers:
        scope = {"type": "http", "method": method, "path": path}
        assert any(route.matches(scope)[0] == Match.FULL for route in routes), f"{method} {path} is not there"


def test_every_option_of_the_offline_stripe_that_the_docs_name_exists():
    shown = run("sandbox", "--help").stdout
    named = set(re.findall(r"`(?:gateway sandbox )?(--[a-z-]+)", OFFLINE_STRIPE))
    assert {"--clock", "--chaos", "--seed"} <= named
    assert {option for option in named if option not in shown} == set()


def test_every_scene_is_told_once():
    told = re.findall(r"^\| `(\w+)` \| ", OFFLINE_STRIPE.partition("| scene | what happens |")[2], re.MULTILINE)
    assert told == list(SCENES)


def test_each_promise_stands_beside_tests_that_there_are():
    promised = TEXTS["docs/promises.md"].partition("## What is not promised")[0]
    rows = re.findall(r"^\| (?!promise |---)(.+) \| (.+) \|$", promised, re.MULTILINE)
    assert len(rows) > 25
    for promise, kept in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", kept)
        assert named, promise
        for path, name in named:
            assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), (promise, name)
