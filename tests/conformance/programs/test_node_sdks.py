"""Stripe's library for Node, from version 8 on, against the offline Stripe; each speaks an API version of its time."""

from pathlib import Path

import pytest

from harness.programs import node_packages, run

PROJECT = Path(__file__).with_name("node_sdks")
API_VERSIONS = {8: "2020-08-27", 9: "2020-08-27", 10: "2022-08-01", 11: "2022-11-15"}
"""Of the libraries that sent none of their own; the later ones pin theirs."""

pytestmark = pytest.mark.soak  # other people's programs are installed; `make programs` runs them


@pytest.mark.parametrize("major", range(8, 24))
def test_the_library_for_node_lives_through_a_subscription(stripe, major):
    project = node_packages(PROJECT)
    command = ["node", project / "life.cjs", stripe.url, str(major), *filter(None, [API_VERSIONS.get(major)])]
    assert run(command, cwd=project) == "content\n"
    assert stripe.state()["unknown_paths"] == {}
