"""Put each fault that an audit found back, and see that the tests which hold it fail: `make held`.

`docs/rules.md` names the tests of each fault ("What an audit found"). Each is put back in a copy of the tree by a small
change of what fixes it, and these tests are run there: every one must fail with a change of its fault.

    python tests/soak/audit_faults.py [numbers of faults]
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from put_faults_back import FAULTS as OF_THE_GAME

from harness.faults import Edits, copy_with, edited
from harness.paths import ROOT

__all__ = ["FAULTS", "edited"]
CREDITS, SUBSCRIPTIONS, CUSTOMERS = "billing/credits", "billing/subscriptions", "billing/customers"
LINKING, USAGE = f"{CUSTOMERS}/linking.py", "billing/metering"
ROW = re.compile(r"^\| (\d+) \| [^|]+ \| (`tests/[^|]+`) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Fault:
    """What is put back.

    Attributes:
        name: its number in the audit.
        what: the fault, or the part of it, in words.
        edits: file, text and replacement; each text stands once in its file.
    """

    name: str
    what: str
    edits: Edits


PARTS = (
    Fault(
        "9",
        "time that is given back is kept",
        (
            (
                f"{SUBSCRIPTIONS}/payments.py",
                'and (back or line["amount"] > 0 or free)',
                'and not back and (line["amount"] > 0 or free)',
            ),
        ),
    ),
    Fault(
        "26",
        "that an open session was just paid is not looked at",
        (("billing/checkout/sessions.py", 'if session.status == "complete":', "if False:"),),
    ),
    Fault(
        "2",
        "only a whole amount tells a trial",
        (
            (f"{CREDITS}/grants.py", "if first <= start < last:", "if False:"),
            (
                f"{CREDITS}/grants.py",
                "tariff.cost(units) * 2 >= 1",
                "bool(tariff.unit) and tariff.unit.denominator == 1",
            ),
        ),
    ),
    Fault(
        "5",
        "a refund counts by the card's part",
        ((f"{CREDITS}/purchases.py", 'row["total"], row["returned"]', 'row["amount_paid"], row["returned"]'),),
    ),
    Fault(
        "6",
        "a flat fee is a unit",
        ((f"{CREDITS}/timeline.py", "if len(quantities) == 1 or tariff is None or not tariff.tiers:", "if True:"),),
    ),
    Fault(
        "7",
        "a prorated line brings nothing",
        (
            (
                f"{CREDITS}/grants.py",
                "if _is_timed(line, row, rules)]",
                'if _is_timed(line, row, rules) and (gives_back(line) or not line["proration"])]',
            ),
        ),
    ),
    Fault(
        "8",
        "days count from the opening",
        (
            (
                f"{CREDITS}/purchases.py",
                '_charged_at(connection, row["payment_intent_id"]) or row["created"]',
                'row["created"]',
            ),
        ),
    ),
    Fault(
        "8",
        "credits end with their period",
        ((f"{CREDITS}/grants.py", "follows = [end + renewal_grace]", "follows = [end]"),),
    ),
    Fault(
        "13",
        "any quantity gives",
        ((f"{SUBSCRIPTIONS}/access.py", "for item in items if item.quantity != 0]", "for item in items]"),),
    ),
    Fault(
        "14",
        "a planned end is `until`",
        (
            (
                f"{SUBSCRIPTIONS}/access.py",
                "until = _earliest(paid, case.subscription.cancel_at) if paid else None",
                "until = case.subscription.cancel_at or paid",
            ),
        ),
    ),
    Fault(
        "14",
        "who never paid has a grace period",
        ((f"{SUBSCRIPTIONS}/access.py", "if case.payments.ever_paid and case.now < end:", "if case.now < end:"),),
    ),
    Fault(
        "15",
        "Stripe takes its features away with the end",
        (
            (
                f"{SUBSCRIPTIONS}/entitlements.py",
                "if state.subscription.status in ENTITLED else offer.at_stripe",
                "if True else offer.at_stripe",
            ),
        ),
    ),
    Fault(
        "15",
        "Stripe's word counts for every product",
        ((f"{SUBSCRIPTIONS}/entitlements.py", "if offer.at_stripe is None:", "if True:"),),
    ),
    Fault(
        "15",
        "an add-on's limit narrows what has none",
        (
            (
                f"{SUBSCRIPTIONS}/entitlements.py",
                "if not stated or (surely and len(stated) < len(surely)):",
                "if not stated:",
            ),
        ),
    ),
    Fault(
        "17",
        "a member's e-mail is the organisation's",
        ((f"{CUSTOMERS}/service.py", 'return self._settings.auth_subject_claim != "sub"', "return False"),),
    ),
    Fault(
        "18",
        "an e-mail says nothing",
        ((LINKING, "CUSTOMERS.c.email_lower == email if by_email else sa.false()", "sa.false()"),),
    ),
    Fault("18", "a payment link's reference counts", ((LINKING, "SESSIONS.c.payment_link.is_(None)", "sa.true()"),)),
    Fault("18", "the case matters", (("mirror/mapping.py", "    lower = address.lower()\n", "    return address\n"),)),
    Fault(
        "18",
        "the seller's metadata are ignored",
        (
            (
                f"{CUSTOMERS}/owners.py",
                "return owner if isinstance(owner, str) and owner else None",
                "return None",
            ),
        ),
    ),
    Fault("18", "of several one is guessed", ((LINKING, "if len(live) > 1:", "if False:"),)),
    Fault(
        "19",
        "each product is a group of its own",
        (
            (
                "billing/catalog/product_prices.py",
                'product.meta.get("group", "")',
                'product.meta.get("group", product.id)',
            ),
        ),
    ),
    Fault(
        "19",
        "the older subscription counts, whatever it is of",
        (
            (
                f"{SUBSCRIPTIONS}/state.py",
                "snapshot.standing(item.price_id) for item in each.items",
                "NOWHERE for item in each.items",
            ),
        ),
    ),
    Fault(
        "21",
        "a connected account's events are our own",
        (
            ("webhooks/inbox.py", "if event.account and event.account not in self._accounts:", "if False:"),
            ("mirror/accounts.py", 'return f"{account}/{id}" if account else id', "return id"),
        ),
    ),
    Fault(
        "21",
        "the mode is not looked at",
        (
            (
                "webhooks/inbox.py",
                "if self._livemode is not None and event.livemode is not self._livemode:",
                "if False:",
            ),
        ),
    ),
    Fault(
        "22",
        "an attempt is told as a failure",
        (
            (
                "outbound/outbox.py",
                'case "invoice":\n            return str(columns["status"])',
                "case \"invoice\":\n            return f\"{columns['status']} {columns['attempt_count']}\"",
            ),
            (
                "outbound/outbox.py",
                'return "invoice.paid" if status == "paid" != before else None',
                'return "invoice.failed" if status == "open" and row.columns["attempt_count"] else None',
            ),
        ),
    ),
    Fault(
        "22",
        "usage that was refused stays so",
        (
            (
                f"{USAGE}/usage.py",
                'refused = [name for name, row in there.items() if row.status == "dead"]',
                "refused = []",
            ),
        ),
    ),
    Fault(
        "22",
        "what Stripe could not count passes for sent",
        ((f"{USAGE}/forwarder.py", 'USAGE.c.id.in_(identifiers), USAGE.c.status == "sent"', "(sa.false(),)"),),
    ),
    Fault(
        "23",
        "a limit has 32 bits",
        (
            (
                "graphql/types/subscriptions.py",
                "limit: BigInt | None = strawberry.field(description=\"The feature's limit",
                "limit: int | None = strawberry.field(description=\"The feature's limit",
            ),
        ),
    ),
    Fault(
        "23",
        "a line's quantity has 32 bits",
        (("graphql/types/invoices.py", "quantity: BigInt | None = field(", "quantity: int | None = field("),),
    ),
    Fault(
        "23",
        "our own value is the client's mistake",
        (("graphql/execution/executor.py", "raise SerializationError(str(error)) from error", "raise"),),
    ),
    Fault(
        "24",
        "a change is told by events alone",
        (("runtime.py", "    outbox.on_write,  # the application's own webhooks\n", ""),),
    ),
    Fault(
        "25",
        "an address that changed stays unknown",
        ((f"{CUSTOMERS}/profile.py", "if email is not None and email != known and (known", "if False and (known"),),
    ),
    Fault(
        "25",
        "the first code is anybody's",
        (
            (f"{SUBSCRIPTIONS}/discounts.py", '"limit": 100}', '"limit": 1}'),
            (f"{SUBSCRIPTIONS}/discounts.py", 'or not page["has_more"]', "or page"),
        ),
    ),
    Fault(
        "25",
        "a paused collection is no pause",
        ((f"{SUBSCRIPTIONS}/pausing.py", 'parameters["pause_collection"] = ""', "return parameters"),),
    ),
    Fault(
        "25",
        "a schedule is passed over",
        (
            (
                f"{SUBSCRIPTIONS}/ending.py",
                "            await self._schedules.release(id, answer)\n            parameters:",
                "            parameters:",
            ),
        ),
    ),
    Fault(
        "28",
        "Stripe is not asked for what was just bought",
        ((f"{CUSTOMERS}/ownership.py", "if ask_stripe and owner is None and", "if False and"),),
    ),
    Fault(
        "28",
        "a draft of the mirror's is believed",
        (
            (
                f"{SUBSCRIPTIONS}/at_stripe.py",
                'if invoice is not None and invoice.status == "draft":  # as',
                "if False:  # as",
            ),
        ),
    ),
    Fault(
        "28",
        "a dead holder keeps its lock",
        (("db/locks.py", "free = sa.or_(LEASES.c.until < now, ", "free = sa.or_("),),
    ),
    Fault(
        "28",
        "messages have the order of their beginning",
        (("outbound/access_watch.py", "    mark(connection, due, new)\n", ""),),
    ),
    Fault(
        "30",
        "what a change brought stays when its payment went back",
        (
            (
                f"{SUBSCRIPTIONS}/payments.py",
                "        returned=_returned(paid, kept, subscription, now) if went_back else {},\n",
                "",
            ),
        ),
    ),
    Fault(
        "30",
        "what went back is credited by a change",
        (
            (
                f"{SUBSCRIPTIONS}/at_stripe.py",
                "check(not_kept(present, disputed=await self.is_disputed(present)))",
                "...",
            ),
        ),
    ),
    Fault(
        "31",
        "a dispute lost but for a cent keeps all of the time",
        ((f"{SUBSCRIPTIONS}/payments.py", "kept = _shortened(kept, disputed)", "..."),),
    ),
)
FAULTS = (*(Fault(it.name, it.what, it.edits) for it in OF_THE_GAME if it.name.isdecimal()), *PARTS)


def tests_of(name: str) -> list[str]:
    """Return the tests that hold a fault, as `docs/rules.md` names them."""
    named = dict(ROW.findall((ROOT / "docs/rules.md").read_text()))
    return re.findall(r"`([^`]+)`", named[name])


def failures(fault: Fault) -> list[str]:
    """Return those of a fault's tests that fail while it is put back."""
    with tempfile.TemporaryDirectory(prefix="gateway-fault-") as name:
        copy_with(fault, Path(name))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rf", *tests_of(fault.name)]
        more = {"PYTHONPATH": name, "COLUMNS": "1000"}
        done = subprocess.run(
            command, cwd=name, env={**os.environ, **more}, capture_output=True, text=True, check=False
        )
    if done.returncode not in {0, 1}:
        raise SystemExit(f"fault {fault.name}: its tests did not run\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return sorted(
        {test for test in tests_of(fault.name) if re.search(rf"^FAILED {re.escape(test)}\b", done.stdout, re.MULTILINE)}
    )


def main() -> int:
    """Print what fails with each fault; 1 where one of its tests fails with none of its changes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("faults", nargs="*", help="numbers; all without")
    given = parser.parse_args()
    chosen = sorted(
        (fault for fault in FAULTS if not given.faults or fault.name in given.faults), key=lambda it: int(it.name)
    )
    print(f"{time.strftime('%Y-%m-%d')}\n\n| | what was put back | fail |\n|---|---|---|", flush=True)
    open_ = {(fault.name, test) for fault in chosen for test in tests_of(fault.name)}
    for fault in chosen:
        found = failures(fault)
        open_ -= {(fault.name, test) for test in found}
        said = ", ".join(f"`{test.rpartition('::')[2]}`" for test in found) or "**none**"
        print(f"| {fault.name} | {fault.what} | {said} |", flush=True)
    for name, test in sorted(open_):
        print(f"never failed: {name} {test}", flush=True)
    return 1 if open_ else 0


if __name__ == "__main__":
    sys.exit(main())
