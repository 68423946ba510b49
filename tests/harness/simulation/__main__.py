"""Play histories until one fails, or until there were enough: `python -m harness.simulation`, in `tests/`.

python -m harness.simulation --seed 4711               plays one history and tells it
python -m harness.simulation --from 1 --seconds 600    plays one after the other for ten minutes of CPU
"""

import argparse
import sys
import time

from harness.shared_caches import share_compiled_statements
from harness.simulation.history import Outcome, play, without_garbage
from harness.simulation.scenes import open_scenes


def told(outcome: Outcome) -> str:
    """Return what there is to read about a history that failed."""
    return "\n".join([*outcome.story, outcome.where, f"SEED={outcome.seed}: {outcome.problem}"])


def main() -> int:
    """Play; 1 when a history failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="play this one alone, and tell what happens")
    parser.add_argument("--from", type=int, default=int(time.time()) % 10**6 * 1000, dest="first", metavar="SEED")
    parser.add_argument("--histories", type=int, default=10**9, help="at most so many")
    parser.add_argument("--seconds", type=float, default=60.0, help="for so many seconds of CPU at most")
    given = parser.parse_args()
    share_compiled_statements()
    with without_garbage():
        shop = open_scenes()
        if given.seed is not None:
            outcome = play(shop, given.seed)
            print(told(outcome))
            return int(outcome.problem is not None)
        began, played = time.process_time(), 0
        while played < given.histories and time.process_time() - began < given.seconds:
            outcome = play(shop, given.first + played)
            played += 1
            if outcome.problem is not None:
                print(told(outcome))
                break
    took = time.process_time() - began
    print(f"{played} histories from {given.first} in {took:.1f} s of CPU, {60 * played / took:.0f} in a minute")
    return int(outcome.problem is not None)


if __name__ == "__main__":
    sys.exit(main())
