"""Plays recorded conversations with the real Stripe against the offline one and prints how far they agree.

The conversations are no part of this repository: `STRIPE_RECORDED` names their folder, which has a `replay.py` that
plays and compares them. What a conversation presupposes (a price, a customer) that script makes up when it is first
named. Here it is made as the conversation's own answers show it, before the first exchange and at its own time: when
it was created, how lines call a product and its unit, how a price is taxed, whose card it is. Nothing is compared less
strictly.

Run as `python tests/conformance/likeness.py [--plain] [options of replay.py]`; `--plain` leaves everything to that
script.
"""

import email.utils
import importlib.util
import os
import re
import sys
import threading
import time
import urllib.parse
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from gateway.sandbox import SandboxOptions, create_sandbox

FOLDER = Path(os.environ.get("STRIPE_RECORDED", Path(__file__).parents[2] / ".." / "shared" / "recorded"))
LONG_AGO = 1262304000  # 2010: before anything that was recorded
_LINE = re.compile(r"^\d+ (?:(?P<unit>\S+) )?× (?P<name>.+) \(at ")  # noqa: RUF001 -- Stripe's own sign
_BRANDS = {"mastercard": "tok_mastercard", "amex": "tok_amex", "discover": "tok_discover"}


def load_replay():
    """The script beside the recordings, as a module."""
    spec = importlib.util.spec_from_file_location("replay", FOLDER / "replay.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


replay = load_replay() if (FOLDER / "replay.py").is_file() else None


class Seeded(replay.Conversation if replay else object):
    """A conversation that is made to know its past."""

    def play(self):
        self.taxes = []
        self.lever("reset")
        self.lever = lambda path, **body: None if path == "reset" else super(Seeded, self).lever(path, **body)
        for moment, known in sorted((self.described(each)["created"], each) for each in self._presupposed()):
            if moment > self.client.get("/_sandbox/state").json()["now"]:
                self.lever("clock/advance", to=moment)
            self.seed(known)
        self._register()
        yield from super().play()

    def _register(self):
        """Let the account collect the taxes that its recorded calculations show."""
        for line in _objects([each["answer"] for each in self.exchanges], "tax.calculation_line_item"):
            if not self.taxes:
                office = {"head_office[address][country]": "US", "head_office[address][state]": "CA"}
                self.client.post("/v1/tax/settings", data=office, headers={"Authorization": "Bearer sk_test_x"})
            for each in (line.get("tax_breakdown") or []) if not self.taxes else ():
                rate, place = each["tax_rate_details"] or {}, each["jurisdiction"]
                if each["amount"]:
                    where = {
                        "country": place["country"],
                        "state": place["state"],
                        "jurisdiction": place["display_name"],
                    }
                    name = {"display_name": rate["display_name"], "tax_type": rate["tax_type"], "inclusive": False}
                    self.taxes.append(
                        self.make("/v1/tax_rates", percentage=rate["percentage_decimal"], **where, **name)
                    )

    def _presupposed(self):
        """Yield what requests name that no earlier answer has, and that some answer describes."""
        known, begins = set(), self._begins()
        for each in self.exchanges:
            text = urllib.parse.unquote_plus(f"{each['path']}&{each['form']}")
            pairs = urllib.parse.parse_qsl(each["form"])
            named = [value for key, value in pairs if re.search(r"(\[|^)(price|plan|coupon)\]?$", key)]
            unknown = each["connect"] or "No such" in replay.json.dumps(each["answer"])
            for one in set() if unknown else {*replay.NAMED.findall(text), *named} - known:
                it = self.described(one)
                if it and it.get("object") in ("price", "plan", "coupon", "customer") and not it.get("deleted"):
                    known.add(one)
                    if it.get("created", begins) < begins:
                        yield one
            known |= set(re.findall(r'"id": "([^"]+)"', replay.json.dumps(each["answer"])))

    def _begins(self):
        dates = [each["date"] for each in self.exchanges if each["date"]]
        return int(email.utils.parsedate_to_datetime(dates[0]).timestamp()) if dates else 0

    def make(self, path, **fields):
        if path == "/v1/products":
            fields |= self._as_lines_call_it(fields.get("id"))
        made = super().make(path, **fields)
        if made and path == "/v1/plans":
            taxed = (self.described(made) or {}).get("tax_behavior") or self._of_price(made, "tax_behavior")
            if taxed and taxed != "unspecified":
                super().make(f"/v1/prices/{made}", tax_behavior=taxed)
        return made

    def seed(self, id, **hints):
        it = self.described(id) or {}
        card = it.get("card")
        if id in self.ids or it.get("object") != "payment_method" or not card:
            return super().seed(id, **hints)
        owner = it.get("customer") or hints.get("customer")
        owner = owner["id"] if isinstance(owner, dict) else owner
        token = _BRANDS.get(card["brand"], "tok_visa")
        billing = {name: value for name, value in it["billing_details"].items() if value and name != "tax_id"}
        made = self.make("/v1/payment_methods", type="card", card={"token": token}, billing_details=billing)
        if made and owner and not hints.get("attaching") and self.seed(owner):
            self.make(f"/v1/payment_methods/{made}/attach", customer=self.ids[owner])
        if made:
            self.ids[id] = made
        return bool(made)

    def _as_lines_call_it(self, product):
        for line in _objects([each["answer"] for each in self.exchanges], "line_item"):
            found = _LINE.match(line.get("description") or "")
            if found and product in _products(line):
                return {
                    name: value for name, value in (("name", found["name"]), ("unit_label", found["unit"])) if value
                }
        return {}

    def _of_price(self, id, field):
        answers = [each["answer"] for each in self.exchanges]
        return next((each[field] for each in _objects(answers, "price") if each["id"] == id and field in each), None)


def _objects(node, kind):
    if isinstance(node, dict):
        if node.get("object") == kind:
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from _objects(each, kind)


def _products(line):
    details = (line.get("pricing") or {}).get("price_details") or {}
    return {details.get("product"), *((line.get(name) or {}).get("product") for name in ("price", "plan"))} - {None}


@contextmanager
def serving(**options):
    """Serve an offline Stripe and yield its address."""
    app = create_sandbox(SandboxOptions(catalog=False, **options))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", date_header=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)  # uvicorn tells nobody
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def main(arguments):
    """Play all conversations against a sandbox of our own, and print what replay.py prints."""
    plain = "--plain" in arguments
    original = replay.Conversation
    replay.Conversation = original if plain else Seeded
    try:
        with serving(clock=LONG_AGO) as url:
            sys.argv = ["replay.py", "--base", url, *(each for each in arguments if each != "--plain")]
            replay.main()
    finally:
        replay.Conversation = original


if __name__ == "__main__":
    main(sys.argv[1:])
