"""Put each fault of money and access back, and let the money game find it: `make faults`. Two are found by callers who
count at once (`tests/soak/test_counting_history.py`).

Each fault is a change of the mechanism that fixes it, made in a copy of the tree. The game is then played on that copy
until it loses. Two of the faults are races, in which one reading is held up; with the same reading held up and the
mechanism whole the game must not lose, which is tried as well.

    python tests/soak/put_faults_back.py [numbers of faults] [--seconds 600] [--database postgres]
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.faults import Edits, copy_with, edited

__all__ = ["FAULTS", "edited"]
COUNTED = "tests/soak/test_counting_history.py"
_NO_STEPS = "has_what|teardown|rests|arrive"
HOLD = '__import__("asyncio").sleep(2)'


@dataclass(frozen=True)
class Fault:
    """What is put back.

    Attributes:
        name: its number in the audit, or `whole` for a mechanism that is only held up.
        what: the fault in words.
        game: with which purchase each game begins (`OPENINGS` of the game, by its place).
        edits: file, text and replacement; each text stands once in its file.
        found: whether the game must lose.
        played: the game that is played.
        only: the database on which alone it is a fault; empty for both.
    """

    name: str
    what: str
    game: int
    edits: Edits
    found: bool = True
    played: str = "tests/e2e/test_money_game.py"
    only: str = ""


CHECKOUT, SERVICE = "billing/checkout/service.py", "billing/subscriptions/service.py"
LISTED = "        opened = await self._sessions.open_of(subject)\n"
OPEN = "        return await self._sessions.open_or_reuse(intent, await parameters(), subject, opened, {})\n"
LOCK = 'return user_lock(database, f"owner:{external_id}")'
APPLIED = "            if already_applied(present, items):\n"
FAULTS = (
    Fault(
        "1",
        "unused time that is given back keeps its credits",
        5,
        (("billing/credits/settlement.py", "if grant is None or grant.kept is None:", "if True:"),),
    ),
    Fault(
        "3",
        "a pack on a plan's invoice ends with the line",
        1,
        (
            (
                "billing/credits/grants.py",
                "None, min(rule.last_day(paid_at(row)), default=None))\n\n\ndef _lines_of",
                'None, moment(line["period_end"]))\n\n\ndef _lines_of',
            ),
        ),
    ),
    Fault(
        "4",
        "a debt is charged again with every grant that expires",
        5,
        (
            (
                "billing/credits/ledger.py",
                "        self.expire()\n        self._carry_spends()\n",
                "        self.expire()\n",
            ),
        ),
    ),
    Fault(
        "9",
        "what was paid back gives access",
        0,
        (
            (
                "billing/subscriptions/paid_time.py",
                "{row.id for row in rows if 0 < row.total <= row.returned}",
                "set[str]()",
            ),
        ),
    ),
    Fault(
        "10",
        "who is sent invoices has a new grace period with every period",
        4,
        (
            (
                "billing/subscriptions/payments.py",
                "_is_by_hand(invoice) or invoice.attempt_count",
                "invoice.attempt_count",
            ),
        ),
    ),
    Fault(
        "11",
        "a plan can be changed out of a debt",
        5,
        (("billing/subscriptions/plan_change.py", "    if status in OWING or (", "    if status is None and ("),),
    ),
    Fault(
        "12",
        "one plan with a trial tries the whole cart",
        3,
        (
            (
                "billing/checkout/cart.py",
                "return min(trials, default=0) or None",
                "return max(trials, default=0) or None",
            ),
        ),
    ),
    Fault(
        "trial",
        "a plan without a trial is free until the end of another one's",
        8,
        (
            (
                "billing/subscriptions/trial_end.py",
                "    if 0 in days:\n        return None\n",
                "    if days:\n        return end\n",
            ),
        ),
    ),
    Fault(
        "link",
        "a customer is given to whoever it is linked to",
        5,
        (
            ("billing/customers/linking.py", "customer.external_id not in {None, external_id}:", "not customer.id:"),
            (
                "billing/customers/linking.py",
                "customer.external_id is None or customer.payer_unverified:",
                "customer.id:",
            ),
        ),
    ),
    Fault(
        "16",
        "an end at once bills no usage",
        2,
        (("billing/subscriptions/ending.py", '{"invoice_now": True, "prorate"', '{"prorate"'),),
    ),
    Fault(
        "usage",
        "a report that did not reach Stripe passes for sent",
        2,
        (("billing/metering/forwarder.py", "            if not known or (row", "            if known and (row"),),
    ),
    Fault(
        "20",
        "the order of items is their ids', and a change takes the first",
        2,
        (
            ("billing/subscriptions/state.py", "ITEMS.c.position, ITEMS.c.created", "ITEMS.c.created, ITEMS.c.id"),
            (
                "billing/subscriptions/changed_items.py",
                "        if len(self._present.items) == 1:\n",
                "        if self._present.items:\n",
            ),
        ),
    ),
    Fault(
        "26",
        "open sessions are listed after the subscriptions were read",
        7,
        (
            (CHECKOUT, LISTED, ""),
            (
                CHECKOUT,
                OPEN.format("confirm"),
                f"        await confirm()\n        await {HOLD}\n{LISTED}{OPEN.format('parameters')}",
            ),
        ),
    ),
    Fault(
        "26 whole",
        "only the reading between the two is held up",
        7,
        ((CHECKOUT, LISTED, f"{LISTED}        await {HOLD}\n"),),
        found=False,
    ),
    Fault(
        "27",
        "changes of one subscription do not wait for each other",
        5,
        (
            ("billing/subscriptions/exclusion.py", LOCK, 'return __import__("contextlib").nullcontext()'),
            (SERVICE, APPLIED, f"            await {HOLD}\n{APPLIED}"),
        ),
    ),
    Fault(
        "27 whole",
        "only what follows the reading is held up",
        5,
        ((SERVICE, APPLIED, f"            await {HOLD}\n{APPLIED}"),),
        found=False,
    ),
    Fault(
        "29",
        "what a pause of the customer's own has voided is a gift",
        5,
        (("billing/subscriptions/payments.py", "if voided_by_pause(subscription.meta, row)]", "if False]"),),
    ),
    Fault(
        "29",
        "what waits for an invoice that a pause will void is given",
        5,
        (("billing/subscriptions/payments.py", "if holds(subscription, now) else {}", "if False else {}"),),
    ),
    Fault(
        "limit",
        "more than is left is admitted",
        5,
        (("billing/counting/desk.py", "and amount > count.remaining:", "and amount < 0:"),),
    ),
    Fault(
        "hold",
        "what is held is left to others",
        5,
        (("billing/counting/counters.py", "max(0, limit - self.used - self.held)", "max(0, limit - self.used)"),),
    ),
    Fault(
        "cap",
        "a spend cap keeps nobody from using more",
        2,
        (("billing/counting/desk.py", "if self._passes_cap(place, amount):", "if False:"),),
    ),
    Fault(
        "held credits",
        "credits that are held are spent by others",
        5,
        (("billing/credits/spending.py", "if account.balance - held <", "if account.balance <"),),
    ),
    Fault(
        "31",
        "unused time is credited in full, of which a part was paid back",
        0,
        (
            (
                "billing/subscriptions/at_stripe.py",
                "check(overcredited(overdrawn(invoice, paid), disputed=lacking(invoice, disputed)))",
                "...",
            ),
        ),
    ),
    Fault(
        "counted at once",
        "uses of one customer's do not wait for each other",
        0,
        (
            (
                "billing/counting/desk.py",
                "        advisory_locks(connection, {lock for key in wanted.keys for lock in locks(*key)})\n",
                "",
            ),
        ),
        played=COUNTED,
        only="postgres",  # SQLite has one writer
    ),
    Fault(
        "counted limit",
        "more than is left is admitted, by many at once",
        0,
        (("billing/counting/desk.py", "and amount > count.remaining:", "and amount < 0:"),),
        played=COUNTED,
    ),
)


def play(fault: Fault, seconds: int, seed: int, database: str, logs: str | None) -> tuple[bool, str]:
    """Play the game on a copy with a fault; whether it lost, and the row of the table."""
    with tempfile.TemporaryDirectory(prefix="gateway-fault-") as name:
        copy_with(fault, Path(name))
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            fault.played,
            "-k",
            database,
            "-p",
            "no:cacheprovider",
        ]
        more = {
            "GAME_SECONDS": str(seconds),
            "GAME_SEED": str(seed),
            "GAME_OPENING": str(fault.game),
            "PYTHONPATH": name,
        }
        began = time.monotonic()
        done = subprocess.run(
            command, cwd=name, env={**os.environ, **more}, capture_output=True, text=True, check=False
        )
        took = round(time.monotonic() - began)
    if logs:
        Path(logs, f"fault-{fault.name.replace(' ', '-')}.log").write_text(done.stdout)
    seeds = re.findall(r"GAME_SEED=(\d+)", done.stdout)
    said = re.findall(r"^(?:E +|E? *\|[E |]*|LOST: )AssertionError: (?!not applied)(.*)$", done.stdout, re.MULTILINE)
    lost = done.returncode == 1 and bool(said)
    if done.returncode and not lost:  # such as on a machine that is too slow for it
        raise SystemExit(f"fault {fault.name}: the game broke off\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    steps = re.findall(
        rf"state\.(?!{_NO_STEPS})(\w+\(.*\))$", done.stdout.rpartition("state = Game()")[2], re.MULTILINE
    )
    begun = re.findall(r"GAME_SEED=\d+: (.*)$", done.stdout, re.MULTILINE) if lost else []
    names = ", ".join([*begun[-1:], *(f"`{step.partition('(')[0]}`" for step in steps)]) or "-"
    last = seeds[-1] if lost and seeds else f"from {seed}" if seeds else "-"
    cells = fault.name, fault.what, database, last, len(seeds), took, names, (said or ["-"])[0][:110]
    return lost, f"| {' | '.join(map(str, cells))} |".replace("\n", " ")


def main() -> int:
    """Print the table; 1 when a fault was not found, or a whole mechanism lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("faults", nargs="*", help="numbers; all without")
    parser.add_argument("--seconds", type=int, default=600, help="for how long each is played at most")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 10**6 // 18 * 18)
    parser.add_argument("--database", default="sqlite", choices=["sqlite", "postgres"])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--logs", help="a folder for what each game printed")
    given = parser.parse_args()
    theirs = [fault for fault in FAULTS if fault.only in {"", given.database}]
    chosen = [fault for fault in theirs if not given.faults or fault.name in given.faults]
    print(f"{time.strftime('%Y-%m-%d')}, {given.database}, seeds from {given.seed}, {given.seconds} s each at most\n")
    print("| | what was put back | database | seed | games | seconds | steps | the game says |", flush=True)
    print("|---|---|---|---|---|---|---|---|", flush=True)
    right = True
    with ThreadPoolExecutor(given.jobs) as pool:
        results = pool.map(
            lambda fault: (fault, *play(fault, given.seconds, given.seed, given.database, given.logs)),
            chosen,
        )
        for fault, lost, row in results:
            print(row if lost == fault.found else f"{row} **{'not found' if fault.found else 'lost'}**", flush=True)
            right = right and lost == fault.found
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
