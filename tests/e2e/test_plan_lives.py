"""Random lives of subscriptions: the copy equals the offline Stripe, and each renewal's invoice what was said before.

Plans change now and later, changes are undone, seats and add-ons come and go, codes are used, collection pauses, the
seller plans changes by schedules, and cards fail; in both billing modes and on both databases.

`LIVES_SECONDS` is how long it is played on each database; without, the same lives for 4 seconds. `LIVES_SEED` is where
the dice start; it is printed.
"""

import json
import os
import random
import time
from datetime import UTC, datetime
from typing import Any

from harness.databases import both_databases
from harness.gateway import World, make_world
from harness.subscriptions import customer, price_id, settled, subscribe

DAY = 86_400
PLANS = ("starter_monthly", "pro_monthly", "business_monthly", "starter_yearly", "pro_yearly")
STEPS = 7
DUE = "{ viewer { subscription { dueAtRenewal { amount } } } }"
PREVIEW = """query($subscriptionId: ID!, $items: [SubscriptionItemChangeInput!], $when: ChangeTime) { viewer {
    previewChange(subscriptionId: $subscriptionId, items: $items, when: $when) {
      when dueNow { amount } dueAtRenewal { amount } prorationDate } } }"""
CHANGE = """mutation($input: ChangeSubscriptionInput!) { changeSubscription(input: $input) {
    subscription { pendingChange { dueAtRenewal { amount } } } invoice { amountDue { amount } }
    userErrors { code } } }"""
SIMPLE = "mutation($input: %sInput!) { %s(input: $input) { userErrors { code } } }"
TEMPTING = {"PREVIEW_EXPIRED", "STRIPE_REFUSED"}
"""What nothing here may be answered: quotes are used at once, and Stripe is never asked for what it refuses."""


class Life:
    """One user with one subscription, for a while.

    Args:
        world: where it is lived.
        dice: decides.
        name: the user.
    """

    def __init__(self, world: World, dice: random.Random, name: str) -> None:
        self.world, self.dice, self.me = world, dice, world.token(name)
        self.mode = dice.choice(["classic", "flexible"])
        how = {"billing_mode[type]": self.mode}
        self.id = subscribe(world, customer(world, name), dice.choice(PLANS), **how)["id"]
        self.story = [self.mode]

    def theirs(self) -> dict[str, Any]:
        return self.world.stripe("GET", f"/v1/subscriptions/{self.id}")

    def do(self, name: str, **given: Any) -> list[str]:
        """Call a mutation; the codes of what was refused."""
        kind = name[0].upper() + name[1:]
        payload = self.world.data(SIMPLE % (kind, name), {"input": {"subscriptionId": self.id, **given}}, self.me)[name]
        found = [error["code"] for error in payload["userErrors"]]
        self.story.append(f"{name} {given} {found}")
        assert not TEMPTING & set(found), self.story
        return found

    # What happens ------------------------------------------------------------------------------------------------

    def change(self) -> None:
        items: list[dict[str, Any]] = []
        if self.dice.random() < 0.6:
            items.append({"priceId": price_id(self.world, self.dice.choice(PLANS))})
        addons = self.world.addons
        for addon in self.dice.sample(addons, self.dice.randint(0 if items else 1, 2)):
            held = any(item["price"]["id"] == addon for item in self.theirs()["items"]["data"])
            gone = held and self.dice.random() < 0.5
            more = {"remove": True} if gone else {"quantity": self.dice.randint(1, 5)}
            items.append({"priceId": addon, **more})
        when = self.dice.choice(["NOW", "AT_PERIOD_END", "AUTOMATIC"])
        asked = {"subscriptionId": self.id, "items": items, "when": when}
        answer = self.world.graphql(PREVIEW, asked, self.me).json()
        quote = None if "errors" in answer else answer["data"]["viewer"]["previewChange"]
        date = {"prorationDate": quote["prorationDate"]} if quote else {}
        before = self.theirs()["items"]
        done = self.world.data(CHANGE, {"input": {**asked, **date}}, self.me)["changeSubscription"]
        found = [error["code"] for error in done["userErrors"]]
        self.story.append(f"change {when} {items} {quote} {found}")
        assert not TEMPTING & set(found), self.story
        assert found or quote or self.theirs()["items"] == before, self.story  # what is not quoted is not made
        if not found and quote["when"] == "NOW" and self.theirs()["items"] != before:
            billed = done["invoice"]["amountDue"]["amount"] if done["invoice"] else 0
            assert billed == quote["dueNow"]["amount"], self.story
        if not found and (waiting := done["subscription"]["pendingChange"]) and quote["when"] == "AT_PERIOD_END":
            assert waiting["dueAtRenewal"] in (quote["dueAtRenewal"], None), self.story

    def undo(self) -> None:
        self.do("cancelPendingChange")

    def pause(self) -> None:
        self.do("pauseSubscription")

    def resume(self) -> None:
        self.do("resumeSubscription")

    def cancel(self) -> None:
        self.do("cancelSubscription")

    def code(self) -> None:
        self.do("applyPromotionCode", promotionCode=self.dice.choice(["HALF", "ONCE", "TENNER", "NONE"]))

    def seller_plans(self) -> None:
        """The seller plans a change, as the dashboard or the portal does."""
        theirs = self.theirs()
        if theirs["schedule"] or theirs["cancel_at_period_end"] or theirs["cancel_at"] or theirs["status"] != "active":
            return
        made = self.world.stripe("POST", "/v1/subscription_schedules", from_subscription=self.id)
        (present,) = made["phases"]
        form = {f"phases[0][{bound}_date]": present[f"{bound}_date"] for bound in ("start", "end")}
        for place, item in enumerate(present["items"]):
            form |= {f"phases[{n}][items][{place}][price]": item["price"] for n in (0, 1)}
            form |= {f"phases[{n}][items][{place}][quantity]": item["quantity"] + n for n in (0, 1)}
        for n in (0, 1):
            for place, each in enumerate(present["discounts"]):
                form[f"phases[{n}][discounts][{place}][discount]"] = each["discount"]
        form |= {"phases[1][proration_behavior]": "none", "end_behavior": "release"}
        self.world.stripe("POST", f"/v1/subscription_schedules/{made['id']}", **form)
        self.story.append("seller plans")

    def card(self) -> None:
        token = self.dice.choice(["pm_card_visa", "pm_card_visa", "pm_card_chargeCustomerFail"])
        theirs = self.theirs()
        method = self.world.stripe("POST", f"/v1/payment_methods/{token}/attach", customer=theirs["customer"])
        self.world.stripe("POST", f"/v1/subscriptions/{self.id}", default_payment_method=method["id"])
        for invoice in self.world.stripe("GET", "/v1/invoices", subscription=self.id, status="open")["data"]:
            if token == "pm_card_visa":
                self.world.stripe("POST", f"/v1/invoices/{invoice['id']}/pay", payment_method=method["id"])
        self.story.append(f"card {token}")

    # What must hold ----------------------------------------------------------------------------------------------

    def copy_equals_stripe(self) -> dict[str, Any]:
        """Wait until the copy is what the offline Stripe has."""
        theirs = settled(self.world, self.id)

        def ours() -> dict[str, Any]:
            (row,) = self.world.rows("subscription", id=self.id)
            items = sorted(self.world.rows("subscription_item", subscription_id=self.id), key=lambda each: each["id"])
            have = [(each["id"], each["price_id"], each["quantity"]) for each in items]
            discounts = row["discounts"] if isinstance(row["discounts"], list) else json.loads(row["discounts"])
            ends = {"cancel_at_period_end": bool(row["cancel_at_period_end"])}
            return {"items": have, "status": row["status"], "discounts": discounts, **ends}

        items = sorted(theirs["items"]["data"], key=lambda each: each["id"])
        wanted = {"items": [(each["id"], each["price"]["id"], each["quantity"]) for each in items]}
        wanted |= {name: theirs[name] for name in ("status", "cancel_at_period_end", "discounts")}
        self.world.eventually(ours, wanted)
        return theirs

    def renew(self) -> None:
        """Let the period end: the renewal is billed as it was said."""
        before = self.copy_equals_stripe()
        if before["status"] != "active":
            return
        found = self.world.data(DUE, headers=self.me)["viewer"]["subscription"]
        if found is None:
            return
        end = min(item["current_period_end"] for item in before["items"]["data"])
        bills = {each["id"] for each in self.world.stripe("GET", "/v1/invoices", subscription=self.id)["data"]}
        self.world.advance(to=end + 2 * 3600)
        listed = self.world.stripe("GET", "/v1/invoices", subscription=self.id)["data"]
        made = [each for each in listed if each["id"] not in bills and each["status"] != "void"]
        if before["pause_collection"]:  # a credit balance may pay what is not collected
            assert all(each["amount_due"] == 0 for each in made), self.story
            return
        new = [each["total"] for each in made]
        said = found["dueAtRenewal"] and found["dueAtRenewal"]["amount"]
        at = datetime.fromtimestamp(end, UTC).isoformat()
        states = [each["status"] for each in listed]
        self.story.append(f"renewal at {at}: said {said}, billed {new}, invoices {states}")
        assert new == ([] if said is None else [said]), self.story


def live(world: World, dice: random.Random, name: str) -> None:
    """Live one life."""
    life = Life(world, dice, name)
    acts = [life.change] * 5 + [life.undo, life.pause, life.resume, life.resume, life.cancel, life.code, life.code]
    acts += [life.seller_plans, life.card, life.renew, life.renew]
    try:
        for _ in range(STEPS):
            dice.choice(acts)()
            if life.copy_equals_stripe()["status"] == "canceled":
                return
        life.renew()
        if life.copy_equals_stripe()["status"] != "canceled":  # the years of the next life are not lived by this one
            world.stripe("DELETE", f"/v1/subscriptions/{life.id}")
            life.copy_equals_stripe()
    except AssertionError as error:
        raise AssertionError("\n".join(life.story)) from error


@both_databases
def test_the_copy_and_the_renewals_of_random_lives(database_url):
    played_long = "LIVES_SECONDS" in os.environ
    start = int(os.environ.get("LIVES_SEED", random.randrange(10**6) if played_long else 1))  # noqa: S311 - dice
    print(f"LIVES_SEED={start}")  # noqa: T201 - to play it again
    ends = time.monotonic() + float(os.environ.get("LIVES_SECONDS", "4"))
    off = {"rate_limit_mutations": "off", "rate_limit_stripe_reads": "off", "rate_limit_all_stripe_reads": "off"}
    off |= {"rate_limit_checkouts": "off"}
    with make_world(database_url, **off) as world:
        addons = []
        for title, amount in (("Seats", 700), ("Disk", 333)):
            product = world.stripe("POST", "/v1/products", name=title, **{"metadata[addon]": "true"})["id"]
            given = {"currency": "usd", "unit_amount": amount, "recurring[interval]": "month"}
            addons.append(world.stripe("POST", "/v1/prices", product=product, **given)["id"])
        world.addons = addons
        for text, form in (
            ("HALF", {"percent_off": 50, "duration": "repeating", "duration_in_months": 2}),
            ("ONCE", {"percent_off": 33.3, "duration": "once"}),
            ("TENNER", {"amount_off": 1000, "currency": "usd", "duration": "forever"}),
        ):
            made = world.stripe("POST", "/v1/coupons", **form)["id"]
            promotion = {"promotion[type]": "coupon", "promotion[coupon]": made}
            world.stripe("POST", "/v1/promotion_codes", code=text, **promotion)
        world.eventually(lambda: {row["id"] for row in world.rows("price")} >= set(addons))
        number = 0
        while number == 0 or time.monotonic() < ends:
            live(world, random.Random(start + number), f"user_{number}")  # noqa: S311 - dice
            number += 1
        print(f"{number} lives")  # noqa: T201 - how much was played
