"""Histories of two gateways in simulated time, with crashes, lost events and slow calls; a number replays each."""

import os
import random
import runpy
import subprocess
import sys
import time

import pytest

from harness.paths import ROOT
from harness.simulation.history import play, without_garbage
from harness.simulation.scenes import open_scenes

HISTORIES = int(os.environ.get("SIMULATED", "6"))


@pytest.mark.timeout(1500)
def test_whatever_goes_wrong_in_between_every_history_ends_right():
    """A few in `make test`; more, from SIMULATION_SEED, in `make histories`; as many as fit SIMULATION seconds."""
    seconds, played, began = float(os.environ.get("SIMULATION", "0")), 0, time.monotonic()
    first = int(os.environ.get("SIMULATION_SEED") or (random.SystemRandom().randrange(10**9) if seconds else 1))
    with without_garbage():
        shop = open_scenes()
        while played < HISTORIES or time.monotonic() - began < seconds:
            outcome = play(shop, first + played)
            played += 1
            again = f"cd tests && ../.venv/bin/python -m harness.simulation --seed {outcome.seed}"
            assert outcome.problem is None, "\n".join([*outcome.story, outcome.where, outcome.problem, again])
    print(f"{played} histories from {first} in {time.monotonic() - began:.0f} s")  # noqa: T201 - what was played


def test_a_number_is_one_history():
    with without_garbage():
        shop = open_scenes()
        first, other, again = (play(shop, seed) for seed in (4711, 4712, 4711))
    assert first == again != other
    assert len(first.story) > 3


@pytest.mark.soak
def test_a_number_is_one_history_in_every_process():
    command = [sys.executable, "-m", "harness.simulation", "--seed", "4711"]
    told = [
        subprocess.run(
            command,
            cwd=ROOT / "tests",
            env={**os.environ, "PYTHONHASHSEED": hashes},
            capture_output=True,
            text=True,
            check=False,  # the story says it
        ).stdout.splitlines()
        for hashes in "12"
    ]
    with without_garbage():
        story = play(open_scenes(), 4711).story
    assert told[0] == told[1]
    assert told[0][: len(story)] == story


def test_the_faults_that_the_simulation_must_find_can_still_be_put_back():
    faults = runpy.run_path(str(ROOT / "tests/soak/search_faults.py"))
    for fault in faults["FAULTS"]:
        with faults["running_with"](fault):
            pass
