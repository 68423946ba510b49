"""Behind a company's proxy: what runs on this machine is called directly, and a proxy that fails is named."""

import httpx
import pytest

from gateway.errors import SettingsError
from gateway.settings import Settings
from gateway.settings.proxies import prepare_proxies, proxy_note, proxy_variable
from harness.command import run
from harness.gateway import SECRET, make_world

CLOSED = "127.0.0.1:9"
VARIABLES = ["HTTP_PROXY", "all_proxy"]


@pytest.fixture(scope="module")
def offline(new_sqlite):
    with make_world(new_sqlite(), fill=False) as world:
        yield {
            "STRIPE_SECRET_KEY": "sk_test_tests",
            "STRIPE_API_BASE": world.stripe_url,
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "DATABASE_URL": world.settings.database_url.get_secret_value(),
            "GATEWAY_REDIRECT_ORIGINS": "https://shop.example",
        }


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("proxy", [f"http://{CLOSED}", f"socks5://{CLOSED}"])
@pytest.mark.parametrize("command", ["sync", "doctor"])
def test_what_is_on_this_machine_is_called_directly(tmp_path, offline, command, variable, proxy):
    done = run(command, cwd=tmp_path, **offline, **{variable: proxy})
    assert done.returncode == 0, done.stdout


def test_the_exceptions_that_are_there_stay(tmp_path, offline):
    elsewhere = offline | {"STRIPE_API_BASE": "http://stripe.invalid", "NO_PROXY": "other.example"}
    done = run("doctor", cwd=tmp_path, **elsewhere, HTTP_PROXY=f"http://{CLOSED}")
    assert "through the proxy of HTTP_PROXY" in done.stdout
    done = run("doctor", cwd=tmp_path, **elsewhere | {"NO_PROXY": "stripe.invalid"}, HTTP_PROXY=f"http://{CLOSED}")
    assert "cannot be reached" in done.stdout
    assert "HTTP_PROXY" not in done.stdout


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable(tmp_path, offline, variable):
    elsewhere = offline | {"STRIPE_API_BASE": "http://stripe.invalid", variable: f"socks5://{CLOSED}"}
    for command in ("sync", "doctor", "serve"):
        done = run(command, cwd=tmp_path, **elsewhere)
        assert done.returncode == 1
        assert done.stdout.startswith(f"{variable}: "), done.stdout
        assert len(done.stdout.splitlines()) == 1
    done = run("doctor", cwd=tmp_path, **elsewhere | {variable: f"http://{CLOSED}"})
    assert done.returncode == 1
    assert f"through the proxy of {variable}" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("variable", "value", "wrong"),
    [
        ("HTTPS_PROXY", "http://proxy:abc", "it is no address"),
        ("HTTPS_PROXY", "http://user:secret@[::1", "it is no address"),
        ("HTTPS_PROXY", "proxy:abc", "it is no address"),
        ("HTTP_PROXY", "http://proxy:abc", "it is no address"),
        ("all_proxy", "socks5://proxy", "a socks5:// proxy is not supported"),
        ("ALL_PROXY", "://proxy", "a :// proxy is not supported"),
    ],
)
def test_a_proxy_that_is_none_stops_the_start_also_where_another_one_is_used(monkeypatch, variable, value, wrong):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.setenv(name, "")
        monkeypatch.setenv(name.lower(), "")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as refused:
        prepare_proxies(Settings.load(stripe_api_base="https://stripe.invalid"))
    assert str(refused.value).startswith(f"{variable}: {wrong}")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "value", ["http://proxy:3128", "proxy:3128", "HTTP://proxy", "https://user:secret@proxy:1", ""]
)
def test_a_proxy_that_can_be_used_is_used(monkeypatch, value):
    for name in ("NO_PROXY", "no_proxy", "https_proxy"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("HTTPS_PROXY", value)
    prepare_proxies(Settings.load(stripe_api_base="https://stripe.invalid"))
    httpx.Client().close()


def test_a_failure_to_reach_stripe_names_the_proxy_before_it(monkeypatch):
    for name, value in {"HTTP_PROXY": f"http://{CLOSED}", "NO_PROXY": "other.example", "no_proxy": ""}.items():
        monkeypatch.setenv(name, value)
    outside, offline = Settings.load(stripe_api_base="http://stripe.invalid"), Settings.load()
    assert proxy_note(outside) == "; Stripe is called through the proxy of HTTP_PROXY"
    assert proxy_note(offline) == ""


@pytest.mark.parametrize(
    ("environment", "url", "expected"),
    [
        ({}, "https://api.stripe.com", None),
        ({"HTTP_PROXY": "http://proxy"}, "https://api.stripe.com", None),
        ({"HTTPS_PROXY": "http://proxy"}, "https://api.stripe.com", "HTTPS_PROXY"),
        ({"HTTPS_PROXY": "http://proxy", "https_proxy": "http://other"}, "https://api.stripe.com", "https_proxy"),
        ({"ALL_PROXY": "http://proxy", "HTTPS_PROXY": "http://proxy"}, "https://api.stripe.com", "HTTPS_PROXY"),
        ({"ALL_PROXY": "http://proxy", "NO_PROXY": "*"}, "https://api.stripe.com", None),
        ({"ALL_PROXY": "http://proxy", "NO_PROXY": "example.com, stripe.com"}, "https://api.stripe.com", None),
        ({"ALL_PROXY": "http://proxy", "NO_PROXY": "api"}, "https://api.stripe.com", "ALL_PROXY"),
    ],
)
def test_the_variable_that_puts_a_proxy_before_a_url(monkeypatch, environment, url, expected):
    for name in ("HTTP", "HTTPS", "ALL", "NO"):
        monkeypatch.delenv(f"{name}_PROXY", raising=False)
        monkeypatch.delenv(f"{name}_proxy".lower(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_variable(url) == expected
