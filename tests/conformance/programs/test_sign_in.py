"""Identity providers as npm has them: better-auth signs a user in; the others' own libraries read the tests' tokens.

Auth0, Clerk and Supabase are services that nobody can run here. `PROVIDERS` has tokens of their shape, by their
documentation; that their libraries take them says that the shape is theirs.
"""

import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from harness.gateway import make_world
from harness.oidc_provider import running_provider
from harness.pages import blocks
from harness.programs import node_packages, run
from harness.providers import PROVIDERS

PROJECT = Path(__file__).with_name("sign_in")

pytestmark = pytest.mark.soak  # other people's programs are installed; `make programs` runs them


def settings_of(name):
    """The settings that the page has for a provider."""
    (block,) = blocks("sign-in", "sh", name)
    return {key.lower(): value for key, value in (line.split("=", 1) for line in block.splitlines())}


def test_who_signs_in_by_better_auth_is_known(new_sqlite):
    project = node_packages(PROJECT)
    command = ["node", project / "better_auth.mjs"]
    with subprocess.Popen(command, cwd=project, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as provider:
        told = json.loads(provider.stdout.readline())
        given = settings_of("better-auth")
        here = {key: value.replace("https://app.example.com", told["baseURL"]) for key, value in given.items()}
        assert here["auth_jwks_url"] == f"{told['baseURL']}/api/auth/jwks"

        def who(world, token):
            return world.graphql("{ viewer { id } }", headers={"Authorization": f"Bearer {token}"})

        with make_world(new_sqlite(), auth_hs256_secret=None, **here) as world:
            assert who(world, told["token"]).json()["data"] == {"viewer": {"id": told["user"]}}
            assert who(world, told["session"]).status_code == 401
        elsewhere = here | {"auth_audience": "https://another.example.com"}
        with make_world(new_sqlite(), auth_hs256_secret=None, **elsewhere) as world:
            assert who(world, told["token"]).status_code == 401
        provider.stdin.close()


def test_the_providers_own_libraries_take_the_tokens_of_the_tests():
    project = node_packages(PROJECT)
    with running_provider() as provider:
        provider.add("RS256", "RS256")
        provider.add("ES256")
        given = {}
        for name in ("Auth0", "Clerk", "Supabase"):
            algorithm, claims = PROVIDERS[name]
            settings = settings_of(name)
            signed = provider.sign(algorithm, **{"iss": settings["auth_issuer"], **claims})
            public = provider.private[algorithm][1].public_key()
            given[name] = {
                "token": signed["Authorization"].removeprefix("Bearer "),
                "jwks": provider.url,
                "key": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
                "issuer": settings["auth_issuer"],
                "audience": settings.get("auth_audience"),
            }
        found = json.loads(run(["node", project / "verify.mjs", json.dumps(given)], cwd=project))
    assert found == {name: {"sub": PROVIDERS[name][1]["sub"], "refused": True} for name in given}
