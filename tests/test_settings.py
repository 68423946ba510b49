"""The names of the settings, the deprecated ones among them."""

import re

import pytest
import structlog
import structlog.testing

from gateway.app import create_app
from gateway.errors import SettingsError
from gateway.operators.checks import run_checks
from gateway.runtime import open_runtime
from gateway.settings import Settings
from gateway.settings.deprecated import OLD_NAMES
from gateway.settings.example import example
from gateway.settings.load import names_of, variable_of
from gateway.settings.unknown import unknown_names
from harness.paths import ROOT

FIELDS = {variable_of(field): name for name, field in Settings.model_fields.items()}
OTHER = {"AUTH_JWKS_MIN_REFRESH_SECONDS": "7", "GATEWAY_RATE_LIMIT_STORAGE": "redis://cache/0"}
ON_OFF = {
    "GATEWAY_ALLOW_MULTIPLE_SUBSCRIPTIONS": "on",
    "GATEWAY_ALLOW_REPEAT_TRIALS": "on",
    "GATEWAY_LINK_CUSTOMERS_BY_EMAIL": "off",
}


def another(name):
    """A value that is not the default of the setting."""
    rate = "RATE_LIMIT" in name
    return OTHER.get(name) or ON_OFF.get(name) or ("7/minute" if rate else "17")


@pytest.fixture
def environment(monkeypatch):
    for name in (*OLD_NAMES, *OLD_NAMES.values()):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(("name", "old"), list(OLD_NAMES.items()), ids=list(OLD_NAMES))
def test_a_deprecated_name_does_what_the_present_one_does(environment, name, old):
    assert Settings.load().old_names == {}
    default = getattr(Settings.load(), FIELDS[name])
    environment.setenv(name, another(name))
    expected = getattr(Settings.load(), FIELDS[name])
    assert expected != default
    environment.delenv(name)
    environment.setenv(old, another(name))
    settings = Settings.load()
    assert getattr(settings, FIELDS[name]) == expected
    assert settings.old_names == {old: name}


def test_where_both_names_are_set_the_present_one_counts(environment):
    environment.setenv("GATEWAY_LIVE_OPERATIONS", "3")
    environment.setenv("GATEWAY_WEBSOCKET_OPERATIONS", "4")
    assert Settings.load().websocket_operations == 4


def test_a_deprecated_name_in_a_file_counts_too(environment, tmp_path):
    (tmp_path / ".env").write_text("GATEWAY_LIVE_OPERATIONS=3\n")
    settings = Settings.load(env_files=(tmp_path / ".env",))
    assert settings.websocket_operations == 3
    assert settings.old_names == {"GATEWAY_LIVE_OPERATIONS": "GATEWAY_WEBSOCKET_OPERATIONS"}


def test_a_wrong_value_under_a_deprecated_name_names_both(environment):
    environment.setenv("GATEWAY_LIVE_OPERATIONS", "0")
    with pytest.raises(SettingsError) as raised:
        Settings.load()
    first, second = str(raised.value).splitlines()
    assert first.startswith("GATEWAY_WEBSOCKET_OPERATIONS: ")
    assert second == "GATEWAY_LIVE_OPERATIONS: this name is deprecated; use GATEWAY_WEBSOCKET_OPERATIONS"


async def test_the_start_and_the_doctor_warn_about_a_deprecated_name_and_one_that_is_no_setting(
    environment, sqlite_url
):
    environment.setenv("GATEWAY_ADOPT_CUSTOMERS", "off")
    environment.setenv("GATEWAY_REDIRECT_ORIGIN", "https://shop.example")
    environment.setenv("AUTH_SECRET", "of another program")
    settings = Settings.load(
        database_url=sqlite_url, stripe_secret_key="sk_test_x", stripe_api_base="http://127.0.0.1:9"
    )
    messages, answers = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]), []

    async def receive():
        return next(messages)

    async def send(message):
        answers.append(message["type"])

    with structlog.testing.capture_logs() as logged:
        await create_app(settings)({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    assert answers == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    warning = {"name": "GATEWAY_ADOPT_CUSTOMERS", "use": "GATEWAY_LINK_CUSTOMERS_BY_EMAIL"}
    assert {"event": "setting_deprecated", "log_level": "warning", **warning} in logged
    for name, meant in (("AUTH_SECRET", None), ("GATEWAY_REDIRECT_ORIGIN", "GATEWAY_REDIRECT_ORIGINS")):
        assert {"event": "setting_unknown", "log_level": "warning", "name": name, "did_you_mean": meant} in logged
    async with open_runtime(settings) as runtime:
        checks = {check.name: check async for check in run_checks(runtime)}
    assert checks["settings"].warning
    assert "GATEWAY_ADOPT_CUSTOMERS to GATEWAY_LINK_CUSTOMERS_BY_EMAIL" in checks["settings"].fix
    unknown = checks["unknown settings"]
    assert (unknown.finding, unknown.warning) == ("AUTH_SECRET, GATEWAY_REDIRECT_ORIGIN", True)
    assert unknown.fix == "did you mean GATEWAY_REDIRECT_ORIGINS by GATEWAY_REDIRECT_ORIGIN?"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("gateway_live_conections", {"GATEWAY_LIVE_CONECTIONS": "GATEWAY_LIVE_CONNECTIONS"}),
        ("AUTH_ISSUR", {"AUTH_ISSUR": "AUTH_ISSUER"}),
        ("GATEWAY_X", {"GATEWAY_X": None}),
        ("GATEWAY_REDIRECT_ORIGINS", {}),
        ("GATEWAY_LIVE_CONNECTIONS", {}),
        ("STRIPE_SECRET_KEYS", {}),
        ("AUTHOR", {}),
        *((f"GATEWAY_{name}", {}) for name in ("SERVICE_HOST", "SERVICE_PORT_HTTP", "PORT", "PORT_8000_TCP_ADDR")),
        ("GATEWAY_API_SERVICE_PORT", {}),
    ],
)
def test_a_name_that_is_no_setting_is_told_with_the_one_that_may_be_meant(name, found):
    known = {each for field in Settings.model_fields.values() for each in names_of(field)}
    assert unknown_names([name], known) == found


def test_the_example_is_written_from_the_settings_and_holds_their_defaults(environment, tmp_path):
    text = (ROOT / ".env.example").read_text()
    assert text == example(), "`python -m gateway.settings.example > .env.example` writes it"
    (tmp_path / ".env").write_text(re.sub(r"^# ([A-Z_0-9]+=)", r"\1", text, flags=re.MULTILINE))
    for name in FIELDS:
        environment.delenv(name, raising=False)
    assert Settings.load(env_files=(tmp_path / ".env",)) == Settings.load()


@pytest.mark.parametrize("key", ["sk_test_x\n", "sk_test_x y", "sk_test_é", "sk_test_x,sk_test_y", "sk_test_x\0"])
def test_a_key_that_was_copied_with_something_else_is_refused(key):
    with pytest.raises(SettingsError, match=r"^STRIPE_SECRET_KEY: it has what no key has") as refused:
        Settings.load(stripe_secret_key=key)
    assert "test_x" not in str(refused.value)


@pytest.mark.parametrize(
    ("key", "mode"),
    [("sk_test_x", "test"), ("rk_test_x", "test"), *((f"{kind}_live_x", "live") for kind in ("sk", "rk", "sk_org"))],
)
def test_the_key_says_whether_money_is_real(key, mode):
    assert Settings.load(stripe_secret_key=key, stripe_api_base="https://api.stripe.com").stripe_mode == mode
