"""@better-auth/stripe, unmodified, against the offline Stripe: subscribe, upgrade, scheduled downgrade, restore."""

from pathlib import Path

import pytest

from harness.programs import node_packages, run

PROJECT = Path(__file__).with_name("better_auth")

pytestmark = pytest.mark.soak  # other people's programs are installed; `make programs` runs them


def test_better_auth_sells_changes_and_restores(stripe):
    project = node_packages(PROJECT)
    assert run(["node", project / "shop.mjs", stripe.url], cwd=project).endswith("content\n")
    assert stripe.state()["unknown_paths"] == {}
