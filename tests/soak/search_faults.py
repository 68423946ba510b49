"""Put faults of this repository's history back, and let the simulation search for each: `make search`.

Each fault is the mechanism that fixes it, taken out of the running program. Histories are then played, one after the
other from a seed, until one fails that holds without the fault.

    python tests/soak/search_faults.py [names of faults] [--seconds 600] [--from 1]
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.faults import Edits, edited, running_with
from harness.shared_caches import share_compiled_statements
from harness.simulation.history import play, without_garbage
from harness.simulation.scenes import open_scenes
from harness.simulation.shop import Shop

__all__ = ["FAULTS", "edited", "running_with"]


@dataclass(frozen=True)
class Fault:
    """What is put back.

    Attributes:
        name: what it is called.
        commit: which one fixed it.
        what: the fault in words.
        edits: file, text and replacement; each text stands once in its file.
    """

    name: str
    commit: str
    what: str
    edits: Edits


FORWARDER = "billing/metering/forwarder.py"
LOCKS, QUEUE, SYNC, UPSERT = "db/locks.py", "db/lease_queue.py", "mirror/sync.py", "mirror/upsert.py"
CHECKOUT, SESSIONS = "billing/checkout/service.py", "billing/checkout/sessions.py"
CUSTOMERS, MEMORY, INBOX = "billing/customers/service.py", "billing/customers/access_memory.py", "webhooks/inbox.py"
FAULTS = (
    Fault(
        "lock",
        "b4222ae",
        "a lease is left behind by who is stopped while its transaction runs",
        ((LOCKS, "            await acquiring\n        raise\n", "            pass\n        raise\n"),),
    ),
    Fault(
        "claim",
        "ecd1116",
        "a claim is not given back by who is stopped while claiming",
        (
            (
                QUEUE,
                "                    await self.release(claim)\n            raise",
                "                    pass\n            raise",
            ),
        ),
    ),
    Fault(
        "one lock",
        "db020eb",
        "purchases and changes of one owner hold different locks",
        (
            (
                CHECKOUT,
                "return owner_lock(self._database, buyer.subject)",
                'return user_lock(self._database, f"buy:{buyer.subject}")',
            ),
        ),
    ),
    Fault(
        "change lock",
        "e0478e9",
        "changes of one subscription do not wait for each other",
        (
            (
                "billing/subscriptions/exclusion.py",
                'return user_lock(database, f"owner:{external_id}")',
                'return __import__("contextlib").nullcontext()',
            ),
        ),
    ),
    Fault(
        "listed late",
        "b8296bf",
        "open checkouts are listed after it was read what forbids another",
        (
            (CHECKOUT, "        opened = await self._sessions.open_of(subject)\n", ""),
            (
                CHECKOUT,
                "        return await self._sessions.open_or_reuse(intent, await parameters(), subject, opened, ",
                (
                    "        await confirm()\n        opened = await self._sessions.open_of(subject)\n"
                    "        confirm = parameters\n"
                    "        return await self._sessions.open_or_reuse(intent, await parameters(), subject, opened, "
                ),
            ),
        ),
    ),
    Fault(
        "given up",
        "1fc546c",
        "a customer that was made is deleted though an earlier call has made it, or it is in use",
        ((CUSTOMERS, "            if not made.replayed and await self._may_go(made):\n", "            if True:\n"),),
    ),
    Fault(
        "order of effects",
        "92988ac",
        "effects hear of a batch in the order of its events' ids",
        (
            (
                UPSERT,
                "[candidates[place] for place in written]  #",
                "[candidates[place] for place in sorted(written)]  #",
            ),
            (UPSERT, "in zip(written, accepted, strict=True)", "in zip(sorted(written), accepted, strict=True)"),
        ),
    ),
    Fault(
        "paid, not begun",
        "665773d",
        "a paid checkout is answered before its subscription is known",
        ((CHECKOUT, "(_settled(row) and await self._sessions.has_begun(row))", "_settled(row)"),),
    ),
    Fault(
        "fetched",
        "a0eb86b",
        "an event whose objects were fetched has no effects",
        (
            (
                INBOX,
                "                    outcome = run_after(connection, event, outcome)\n",
                "                    pass\n",
            ),
        ),
    ),
    Fault(
        "owner",
        "89dd55e",
        "whose a customer is by its metadata is not taken back",
        (("billing/customers/owners.py", "    if not named:\n", "    if named is not None:\n"),),
    ),
    Fault(
        "a jump",
        "967ce0e",
        "events of before a jump of the clock count as forgotten by Stripe",
        (("webhooks/catch_up.py", "now - RETENTION_SECONDS if forgets else 0)", "now - RETENTION_SECONDS)"),),
    ),
    Fault(
        "replayed",
        "12f944a",
        "the saved answer to an earlier call is stored as the present state",
        ((SYNC, "guard = Guard.NEVER if answer.replayed else Guard.NEWER", "guard = Guard.NEWER"),),
    ),
    Fault(
        "meanwhile",
        "dbae9b3",
        "what was fetched overwrites what was written meanwhile",
        (
            (
                UPSERT,
                'Guard.UNCHANGED: table.c.revision == sa.bindparam("seen", type_=sa.Integer),',
                'Guard.UNCHANGED: sa.or_(sa.true(), table.c.revision == sa.bindparam("seen", type_=sa.Integer)),',
            ),
        ),
    ),
    Fault(
        "ties",
        "73a4024",
        "of two events of one second the earlier one counts where it arrives last",
        (
            (
                SYNC,
                "            case Order.EARLIER:\n                return WriteResult.STALE\n",
                (
                    "            case Order.EARLIER:\n"
                    '                seen = row["revision"]\n'
                    "                return upsert(connection, [candidate], self._effects, Guard.UNCHANGED, seen)[0]\n"
                ),
            ),
        ),
    ),
    Fault(
        "deletion",
        "231e8de",
        "the defaults of a new row hide for how long a fetch took",
        (
            (
                UPSERT,
                "        **_defaults(candidate.resource.table),\n        **candidate.columns,\n",
                "        **candidate.columns,\n",
            ),
            (
                UPSERT,
                '        "deleted": candidate.deleted,\n    }\n',
                '        "deleted": candidate.deleted,\n        **_defaults(candidate.resource.table),\n    }\n',
            ),
        ),
    ),
    Fault(
        "usage",
        "89b1077",
        "a report that did not reach Stripe passes for sent",
        ((FORWARDER, "            if not known or (row", "            if known and (row"),),
    ),
    Fault(
        "wrong clock",
        "f2def57",
        "usage is refused for good where the machine's clock is ahead",
        (
            (
                FORWARDER,
                "timestamp = min(reported, self._latest())",
                "timestamp = reported",
            ),
            (
                FORWARDER,
                "passing = early or error.replayed  #",
                "passing = False  #",
            ),
        ),
    ),
    Fault(
        "forged",
        "f2def57",
        "deliveries count as forged where the machine's clock is off",
        (
            (
                "webhooks/signature.py",
                "(stripe_time is None or abs(stripe_time - stamp) > TOLERANCE_SECONDS)",
                "True",
            ),
        ),
    ),
    Fault(
        "gap",
        "69fca39",
        "who has not heard for a while does not look again",
        (
            (
                "db/notifications.py",
                "(_last_notification)\n        self.healthy = True\n        self._look_at_everything()\n",
                "(_last_notification)\n        self.healthy = True\n",
            ),
        ),
    ),
    Fault(
        "heard meanwhile",
        "0276125",
        "what is heard of a user while he is read is forgotten",
        (
            (
                MEMORY,
                'if self._notifications.healthy and is_settled and heard.isdisjoint(topics | {""}):',
                "if self._notifications.healthy and is_settled:",
            ),
        ),
    ),
    Fault(
        "not heard",
        "0276125",
        "access is answered from memory whether or not the others are heard",
        (
            (
                "db/notifications.py",
                "return self.healthy and self._asked_at - self._current_at < CURRENT_SECONDS",
                "return self.healthy",
            ),
        ),
    ),
    Fault(
        "untold",
        "0276125",
        "of a user who gets a customer nobody is told",
        ((UPSERT, '                topics.add(f"user:{user}")  #', "                pass  #"),),
    ),
    Fault(
        "no lease",
        "349c785",
        "a result is written whoever has the lease by then",
        (
            (
                QUEUE,
                "return sa.and_(self.scope, self.key.in_(keys), self.due_at == claim.until)",
                "return sa.and_(self.scope, self.key.in_(keys))",
            ),
        ),
    ),
    Fault(
        "left open",
        "db020eb",
        "a checkout stays open beside a change into its group",
        (("billing/subscriptions/service.py", "            await self._close_checkouts(owner)\n", ""),),
    ),
    Fault(
        "into a group",
        "337d53e",
        "a change leads into a group of which there is a plan already",
        (
            (
                "billing/subscriptions/service.py",
                "            await self._check_alone(items, present, principal.subject)\n",
                "",
            ),
        ),
    ),
    Fault(
        "two checkouts",
        "de059d2",
        "a checkout that was opened before stays open beside the next one",
        ((SESSIONS, "*map(self.expire, others))", "*map(self.read, others))"),),
    ),
    Fault(
        "credits of unused time",
        "41457fa",
        "unused time that is given back keeps its credits",
        (("billing/credits/settlement.py", "if grant is None or grant.kept is None:", "if True:"),),
    ),
    Fault(
        "paid back",
        "e8e5c59",
        "what was paid back gives access",
        (
            (
                "billing/subscriptions/paid_time.py",
                "{row.id for row in rows if 0 < row.total <= row.returned}",
                "set[str]()",
            ),
        ),
    ),
    Fault(
        "last look",
        "c9738e4",
        "a queue is taken for empty although work that has just ended made something due",
        (
            (
                QUEUE,
                "if until_empty and not found and not self._running and not self._wake.is_set():",
                "if until_empty and not found and not self._running:",
            ),
        ),
    ),
)


_ROW = "| {0.name} | {0.commit} | {0.what} | {1} | {2} | {3:.0f} | {4} |"


def search(shop: Shop, fault: Fault, first: int, seconds: float) -> tuple[bool, str]:
    """Play histories with a fault; whether one failed that does not without it, and the row of the table.

    Args:
        shop: in which they are played.
        fault: what is put back.
        first: the first history.
        seconds: of CPU, for all of them.
    """
    began, seed = time.process_time(), first
    while (took := time.process_time() - began) < seconds:
        with running_with(fault):
            problem = play(shop, seed).problem
        seed += 1
        if problem is not None and play(shop, seed - 1).problem is None:
            return True, _ROW.format(fault, seed - 1, seed - first, time.process_time() - began, problem[:160])
    return False, _ROW.format(fault, "-", seed - first, took, "-")


def main() -> int:
    """Print the table; 1 when a fault was not found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", help="their names; all without")
    parser.add_argument("--seconds", type=float, default=600, help="of CPU, that each is searched at most")
    parser.add_argument("--from", type=int, default=1, dest="first", metavar="SEED")
    given = parser.parse_args()
    chosen = [fault for fault in FAULTS if not given.faults or fault.name in given.faults]
    share_compiled_statements()
    print("| fault | fixed by | what was put back | seed | histories | seconds | the simulation says |")
    print("|---|---|---|---|---|---|---|", flush=True)
    found = 0
    with without_garbage():
        shop = open_scenes()
        for fault in chosen:
            was_found, row = search(shop, fault, given.first, given.seconds)
            print(row, flush=True)
            found += was_found
    print(f"\n{found} of {len(chosen)} found")
    return int(found < len(chosen))


if __name__ == "__main__":
    sys.exit(main())
