"""Stripe's library for Python, from version 8 on, against the offline Stripe; each sends its own API version."""

import sys
from pathlib import Path

import pytest

from harness.programs import python_packages, run

SCENARIO = Path(__file__).with_name("python_sdk.py")
VERSIONS = ("8.11.1", "9.12.1", "10.12.1", "11.6.1", "12.5.2", "13.2.1", "14.4.2", "15.6.2", "16.1.0")

pytestmark = pytest.mark.soak  # other people's programs are installed; `make programs` runs them


@pytest.mark.parametrize("version", VERSIONS)
def test_the_library_for_python_lives_through_a_subscription(stripe, version):
    packages = python_packages("stripe-python", [f"stripe=={version}", "requests==2.34.2", "typing-extensions==4.16.0"])
    assert run([sys.executable, SCENARIO, stripe.url], PYTHONPATH=str(packages)) == "content\n"
    assert stripe.state()["unknown_paths"] == {}
