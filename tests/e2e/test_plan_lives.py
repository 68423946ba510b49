"""Random lives of subscriptions: the copy equals the offline Stripe, and each renewal's invoice what was said before.

Plans change now and later, here and on the portal's pages, changes are undone, seats and add-ons by the month and by
the year come and go, codes are used, discounts of items and of customers run out, collection pauses, the seller and the
portal plan changes and ends by schedules, cards fail, and banks want payments confirmed; in both billing modes and on
both databases. What the seller has planned happens where it binds, whatever the customer does here; where it does not,
who leaves and comes back finds it again.

`LIVES_SECONDS` is how long it is played on each database; without, the same lives for 4 seconds. `LIVES_SEED` is where
the dice start; it is printed.
"""

import json
import os
import random
import time
from datetime import UTC, datetime
from typing import Any

from billing.subscriptions.test_confirmations import confirm

from harness.databases import postgres_later
from harness.gateway import World, make_world
from harness.subscriptions import customer, price_id, settled, subscribe

DAY = 86_400
PLANS = ("starter_monthly", "pro_monthly", "business_monthly", "starter_yearly", "pro_yearly")
STEPS = 7
DUE = "{ viewer { subscription { dueAtRenewal { amount } pendingChange { at dueAtRenewal { amount } } } } }"
QUOTE = """query($subscriptionId: ID!, $items: [SubscriptionItemChangeInput!], $when: ChangeTime) { viewer {
    quoteChange(subscriptionId: $subscriptionId, items: $items, when: $when) { userErrors { code } preview {
      when dueNow { amount } dueAtRenewal { amount } renewsAt prorationDate } } } }"""
CHANGE = """mutation($input: ChangeSubscriptionInput!) { changeSubscription(input: $input) {
    subscription { pendingChange { at dueAtRenewal { amount } } dueAtRenewal { amount }
      confirmation { url amount { amount } } }
    invoice { id amountDue { amount } } userErrors { code } } }"""
SIMPLE = "mutation($input: %sInput!) { %s(input: $input) { userErrors { code } } }"
TEMPTING = {"PREVIEW_EXPIRED", "STRIPE_REFUSED"}
"""What nothing here may be answered: quotes are used at once, and Stripe is never asked for what it refuses."""
BY_CARD = {"PAYMENT_FAILED", "CHANGE_PENDING"}
"""Why a change that has a quote is refused: the card, or a bank that asks while another change waits."""
CARDS = ("pm_card_visa", "pm_card_visa", "pm_card_chargeCustomerFail", "pm_card_authenticationRequired")


def is_there(subscription: dict[str, Any], items: list[dict[str, Any]]) -> bool:
    """Whether a subscription has what a change wants already."""
    held = {item["price"]["id"]: item["quantity"] for item in subscription["items"]["data"]}

    def holds(entry: dict[str, Any]) -> bool:
        price = entry["priceId"]
        if entry.get("remove"):
            return price not in held
        return price in held and entry.get("quantity", held[price]) == held[price]

    return all(map(holds, items))


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
        self.customer = customer(world, name)
        self.id = subscribe(world, self.customer, dice.choice(PLANS), **how)["id"]
        self.story = [self.mode]
        self.aside: tuple[Any, ...] = ()
        self.planned: dict[str, Any] | None = None
        """The seller's schedule that binds: the customer may not get out of it."""

    def theirs(self) -> dict[str, Any]:
        return self.world.stripe("GET", f"/v1/subscriptions/{self.id}")

    def bills(self) -> set[str]:
        """The ids of its invoices."""
        return {each["id"] for each in self.world.stripe("GET", "/v1/invoices", subscription=self.id)["data"]}

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
        items = self.wanted()
        if not items:
            return
        when = self.dice.choice(["NOW", "AT_PERIOD_END", "AUTOMATIC"])
        asked = {"subscriptionId": self.id, "items": items, "when": when}
        before, bills = self.theirs(), self.bills()
        quote = self.world.data(QUOTE, asked, self.me)["viewer"]["quoteChange"]
        preview, refused = quote["preview"], [error["code"] for error in quote["userErrors"]]
        date = {"prorationDate": preview["prorationDate"]} if preview else {}
        done = self.world.data(CHANGE, {"input": {**asked, **date}}, self.me)["changeSubscription"]
        found = [error["code"] for error in done["userErrors"]]
        self.story.append(f"change {when} {items} {quote} {found}")
        assert not TEMPTING & set(found), self.story
        after, made = self.theirs(), self.bills() - bills
        if self.is_planned():
            rests = ["SUBSCRIPTION_PAUSED"] if before["pause_collection"] else []
            leaves = ["SUBSCRIPTION_ENDING", *rests]
            assert refused == (leaves if self.has_left() else ["PLANNED_BY_SELLER"]), self.story
        if refused:  # what is not quoted is not made; what is there already is answered as it is
            assert found == ([] if is_there(before, items) else refused), self.story
        if refused or found or is_there(before, items):
            assert set(found) <= {*refused, *BY_CARD}, self.story
            assert (made, after["items"]["data"]) == (set(), before["items"]["data"]), self.story
        elif done["subscription"]["confirmation"]:
            assert after["items"]["data"] == before["items"]["data"], self.story
            assert done["subscription"]["confirmation"]["amount"] == preview["dueNow"], self.story
            self.answer_the_bank(done["subscription"]["confirmation"]["url"])
        elif preview["when"] == "NOW":
            self.was_billed(done, preview, made)
        else:
            assert (made, after["items"]["data"]) == (set(), before["items"]["data"]), self.story
            self.waits(done["subscription"]["pendingChange"], preview)

    def wanted(self) -> list[dict[str, Any]]:
        """Entries of a change: the plan with a quantity or without, and add-ons that come, go or become more."""
        items: list[dict[str, Any]] = []
        if self.dice.random() < 0.6:
            quantity = {"quantity": self.dice.randint(1, 4)} if self.dice.random() < 0.3 else {}
            items.append({"priceId": price_id(self.world, self.dice.choice(PLANS)), **quantity})
        held = {item["price"]["id"] for item in self.theirs()["items"]["data"]}
        for addon in self.dice.sample(self.world.addons, self.dice.randint(0 if items else 1, 2)):
            gone = addon in held and self.dice.random() < 0.5
            items.append({"priceId": addon, **({"remove": True} if gone else {"quantity": self.dice.randint(1, 5)})})
        return items

    def was_billed(self, done: dict[str, Any], preview: dict[str, Any], made: set[str]) -> None:
        """What was charged is what was quoted, by one invoice at most; and the next renewal is known."""
        billed = {done["invoice"]["id"]} if done["invoice"] and preview["when"] == "NOW" else set()
        assert made == billed & made, self.story
        assert (done["invoice"]["amountDue"] if made else {"amount": 0}) == preview["dueNow"], self.story
        theirs = self.theirs()
        if theirs["status"] == "active" and not theirs["cancel_at_period_end"] and not self.ends():
            assert done["subscription"]["dueAtRenewal"] == preview["dueAtRenewal"], self.story

    def waits(self, waiting: dict[str, Any] | None, preview: dict[str, Any]) -> None:
        """What waits comes to what was quoted; null where nothing is billed as it happens."""
        assert waiting is not None, self.story
        at_its_renewal = waiting["at"] == preview["renewsAt"]
        assert waiting["dueAtRenewal"] == (preview["dueAtRenewal"] if at_its_renewal else None), self.story

    def answer_the_bank(self, url: str) -> None:
        answer = self.dice.choice(["approve", "fail", None])
        self.story.append(f"the bank: {answer}")
        if answer:
            confirm(self.world, url, answer)

    def undo(self) -> None:
        """Undo what waits: an end that is planned stays, and so does what binds."""
        waits, ends, binds = self.pending(), self.ends(), self.binds()
        found = self.do("cancelPendingChange")
        if waits:
            assert found == (["PLANNED_BY_SELLER"] if binds else []), self.story
            assert (self.pending(), self.ends()) == (waits if binds else None, ends), self.story

    def managing(self) -> dict[str, Any] | None:
        """The schedule that manages the subscription, if any."""
        schedule = self.theirs()["schedule"]
        return self.world.stripe("GET", f"/v1/subscription_schedules/{schedule}") if schedule else None

    def ends(self) -> int | None:
        """When a schedule ends the subscription, if it does."""
        found = self.managing()
        return found["phases"][-1]["end_date"] if found and found["end_behavior"] == "cancel" else None

    def has_left(self) -> bool:
        """Whether the customer has set aside what was planned."""
        return "ended_by_customer" in (self.managing() or {"metadata": {}})["metadata"]

    def binds(self) -> bool:
        """Whether what is planned binds: what the seller says so of, and nothing where no discount would go on."""
        seen = self.world.data("{ viewer { subscription { plannedBySeller } } }", headers=self.me)["viewer"]
        binds, found = bool((seen["subscription"] or {}).get("plannedBySeller")), self.managing()
        assert binds or not self.is_planned() or self.has_left(), self.story
        discounts = found and [
            each["discounts"] or [item["discounts"] for item in each["items"]] for each in found["phases"]
        ]
        if found and not any(map(any, discounts)) and found["metadata"].get("customer_may_change") != "false":
            assert not binds, self.story
        return binds

    def pending(self) -> dict[str, Any] | None:
        """What waits, as the customer sees it."""
        found = self.world.data(DUE, headers=self.me)["viewer"]["subscription"]
        return found and found["pendingChange"]

    def pause(self) -> None:
        self.do("pauseSubscription")

    def resume(self) -> None:
        """Stay after all: what was set aside is planned again."""
        left, waits = self.has_left(), self.pending()
        self.do("resumeSubscription")
        if left and not self.has_left():
            assert self.later() == self.aside, self.story
        elif waits:
            assert (self.pending() or {}).get("at") == waits["at"], self.story

    def later(self) -> tuple[Any, ...]:
        """What a schedule has planned: when the present phase ends, what comes then, and the end."""
        found, now = self.managing(), self.world.sandbox.now()
        phases = [each for each in found["phases"] if each["end_date"] > now]
        return phases[0]["end_date"], phases[1:], found["end_behavior"]

    def cancel(self) -> None:
        when = "NOW" if self.dice.random() < 0.2 else "AT_PERIOD_END"
        before = self.later() if self.managing() and not self.has_left() else None
        found = self.do("cancelSubscription", when=when, reason="UNUSED")
        if when == "NOW":
            assert (self.theirs()["status"] == "canceled") == (not found), self.story
        elif not found and before and self.has_left():
            self.aside = before
            period_end = min(each["current_period_end"] for each in self.theirs()["items"]["data"])
            assert self.later() == (period_end, [], "cancel"), self.story
        elif not found and self.is_planned() and not self.has_left():  # it ends so soon already
            assert self.later()[1:] == ([], "cancel"), self.story

    def code(self) -> None:
        self.do("applyPromotionCode", promotionCode=self.dice.choice(["HALF", "ONCE", "TENNER", "NONE"]))

    def seller_plans(self) -> None:
        """The seller plans a change, or a change and an end: what binds, what does not, and what he hands over."""
        theirs = self.theirs()
        if theirs["schedule"] or theirs["cancel_at_period_end"] or theirs["cancel_at"] or theirs["status"] != "active":
            return
        made = self.world.stripe("POST", "/v1/subscription_schedules", from_subscription=self.id)
        (present,) = made["phases"]
        form = {f"phases[0][{bound}_date]": present[f"{bound}_date"] for bound in ("start", "end")}
        for place, item in enumerate(present["items"]):
            form |= {f"phases[{n}][items][{place}][price]": item["price"] for n in (0, 1)}
            form |= {f"phases[{n}][items][{place}][quantity]": item["quantity"] + n for n in (0, 1)}
            for number, each in enumerate(item["discounts"]):
                form |= {
                    f"phases[{n}][items][{place}][discounts][{number}][discount]": each["discount"] for n in (0, 1)
                }
        for n in (0, 1):
            for place, each in enumerate(present["discounts"]):
                form[f"phases[{n}][discounts][{place}][discount]"] = each["discount"]
        form |= {"phases[1][proration_behavior]": "none", "end_behavior": self.dice.choice(["release", "cancel"])}
        said = self.dice.choice(["true", "false", "false", None, None, None])
        form |= {"metadata[customer_may_change]": said} if said else {}
        made = self.world.stripe("POST", f"/v1/subscription_schedules/{made['id']}", **form)
        self.planned = made if said == "false" else None
        self.story.append(f"seller plans, then {made['end_behavior']}, customer may change: {said}")

    def schedule(self) -> dict[str, Any]:
        """The seller's schedule as it is now."""
        found = self.world.stripe("GET", f"/v1/subscription_schedules/{self.planned['id']}")
        return {name: found[name] for name in ("id", "phases", "end_behavior", "status")}

    def is_planned(self) -> bool:
        """Whether something that the seller has planned is still to come."""
        if self.planned is None or self.schedule()["status"] != "active":
            return False
        ends = self.planned["end_behavior"] == "cancel"
        return ends or self.planned["phases"][-1]["start_date"] > self.world.sandbox.now()

    def seller_is_obeyed(self) -> None:
        """What the seller has planned is planned still, or has happened."""
        if self.planned is None:
            return
        found = self.schedule()
        if (
            self.theirs()["status"] != "canceled"
            and self.planned["phases"][-1]["start_date"] > self.world.sandbox.now()
        ):
            assert found["status"] == "active", self.story
        if found["status"] == "active" and self.is_planned() and not self.has_left():
            wanted, now = self.planned["phases"], self.world.sandbox.now()
            assert (found["phases"][1:], found["end_behavior"]) == (wanted[1:], self.planned["end_behavior"]), (
                self.story
            )
            assert now >= wanted[0]["end_date"] or found["phases"][0]["end_date"] == wanted[0]["end_date"], self.story

    def portal(self) -> None:
        """Change the plan or the seats on the portal's pages, where what is less waits for the period's end.

        Where something is planned the portal refuses a change, and cancels what is planned.
        """
        theirs = self.theirs()
        if len(theirs["items"]["data"]) != 1 or theirs["status"] != "active":
            return
        given = {"customer": theirs["customer"], "configuration": self.world.portal}
        url = self.world.stripe("POST", "/v1/billing_portal/sessions", **given)["url"]
        page, wanted = f"{url}/subscriptions/{self.id}", {"quantity": self.dice.randint(1, 3)}
        wanted["price"] = price_id(self.world, self.dice.choice(PLANS))
        planned = f"{page}/keep" in self.world.client.get(url).text
        keeps = theirs["schedule"] and self.dice.random() < 0.3
        ask, origin = f"{page}/{'keep' if keeps else 'confirm'}", {"Origin": self.world.stripe_url}
        answer = self.world.client.post(ask, data={} if keeps else wanted, headers=origin)
        self.story.append(f"portal {'keeps' if keeps else wanted} {answer.status_code}")
        assert answer.status_code < 500, self.story
        if keeps or self.managing() is None:  # the portal's pages take it from the schedule
            self.planned = None
        elif planned:
            assert (answer.status_code, self.theirs()) == (400, theirs), self.story

    def seller_reduces(self) -> None:
        """The seller puts a discount on an item, or on the customer, as versions before basil can."""
        theirs, coupon = self.theirs(), self.dice.choice(self.world.coupons)
        item = self.dice.choice(theirs["items"]["data"])
        if theirs["status"] != "active":
            return
        if of_customer := self.dice.random() < 0.3:
            headers = {"Authorization": "Bearer sk_test_tests", "Stripe-Version": "2024-06-20"}
            path = f"{self.world.stripe_url}/v1/customers/{self.customer}"
            assert self.world.client.post(path, headers=headers, data={"coupon": coupon}).is_success
        else:
            path = f"/v1/subscription_items/{item['id']}"
            self.world.stripe("POST", path, **{"discounts[0][coupon]": coupon, "proration_behavior": "none"})
        self.story.append(f"seller reduces {'the customer' if of_customer else item['price']['id']} by {coupon}")

    def card(self) -> None:
        token = self.dice.choice(CARDS)
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
            active = self.world.rows("subscription_schedule", subscription_id=self.id, status="active")
            over = row["status"] == "canceled"  # which its schedule may not have been told
            ends["schedule"] = None if over else next((each["id"] for each in active), None)
            return {"items": have, "status": row["status"], "discounts": discounts, **ends}

        items = sorted(theirs["items"]["data"], key=lambda each: each["id"])
        wanted = {"items": [(each["id"], each["price"]["id"], each["quantity"]) for each in items]}
        wanted |= {name: theirs[name] for name in ("status", "cancel_at_period_end", "discounts")}
        wanted["schedule"] = None if theirs["status"] == "canceled" else theirs["schedule"]
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
        bills = self.bills()
        self.world.advance(to=end + 2 * 3600)
        listed = self.world.stripe("GET", "/v1/invoices", subscription=self.id)["data"]
        made = [each for each in listed if each["id"] not in bills and each["status"] != "void"]
        if before["pause_collection"] and not before["pause_collection"].get("resumes_at"):
            assert found["dueAtRenewal"] is None, self.story
            # what is not collected is void, unless the customer's credit balance pays all of it
            assert [(each["status"], each["amount_due"]) for each in made] in ([], [("paid", 0)]), self.story
            return
        new = [each["total"] for each in made]
        at = datetime.fromtimestamp(end, UTC).isoformat()
        waiting = found["pendingChange"]
        due = found["dueAtRenewal"]
        if waiting and datetime.fromisoformat(waiting["at"]).timestamp() == end:
            due = waiting["dueAtRenewal"]  # null where only what ends then goes, and the rest renews later
        said = due and due["amount"]
        states = [each["status"] for each in listed]
        self.story.append(f"renewal at {at}: said {said}, billed {new}, invoices {states}")
        assert new == ([] if said is None else [said]), self.story


def live(world: World, dice: random.Random, name: str) -> None:
    """Live one life."""
    life = Life(world, dice, name)
    acts = [life.change] * 5 + [life.undo, life.pause, life.resume, life.resume, life.cancel, life.code, life.code]
    acts += [life.seller_plans, life.portal, life.portal, life.card, life.renew, life.renew, life.seller_reduces]
    try:
        for _ in range(STEPS):
            dice.choice(acts)()
            life.seller_is_obeyed()
            if life.copy_equals_stripe()["status"] == "canceled":
                return
        life.renew()
        if life.copy_equals_stripe()["status"] != "canceled":  # the years of the next life are not lived by this one
            world.stripe("DELETE", f"/v1/subscriptions/{life.id}")
            life.copy_equals_stripe()
    except AssertionError as error:
        raise AssertionError("\n".join(life.story)) from error


def portal_of(world: World) -> str:
    """A configuration of the portal that sells all plans, and lets what is less wait; its id."""
    feature = "features[subscription_update]"
    form = {f"{feature}[enabled]": "true", f"{feature}[proration_behavior]": "always_invoice"}
    form |= {f"{feature}[default_allowed_updates][{n}]": name for n, name in enumerate(("price", "quantity"))}
    form[f"{feature}[schedule_at_period_end][conditions][0][type]"] = "decreasing_item_amount"
    sold: dict[str, list[str]] = {}
    for price in (world.stripe("GET", f"/v1/prices/{price_id(world, plan)}") for plan in PLANS):
        sold.setdefault(price["product"], []).append(price["id"])
    for n, (product, prices) in enumerate(sold.items()):
        form[f"{feature}[products][{n}][product]"] = product
        form |= {f"{feature}[products][{n}][prices][{m}]": price for m, price in enumerate(prices)}
    made = world.stripe("POST", "/v1/billing_portal/configurations", **form)["id"]
    return str(made)


@postgres_later
def test_the_copy_and_the_renewals_of_random_lives(database_url):
    played_long = "LIVES_SECONDS" in os.environ
    start = int(os.environ.get("LIVES_SEED", random.randrange(10**6) if played_long else 1))  # noqa: S311 - dice
    print(f"LIVES_SEED={start}")  # noqa: T201 - to play it again
    ends = time.monotonic() + float(os.environ.get("LIVES_SECONDS", "4"))
    off = {"rate_limit_mutations": "off", "rate_limit_stripe_reads": "off", "rate_limit_all_stripe_reads": "off"}
    off |= {"rate_limit_checkouts": "off"}
    with make_world(database_url, **off) as world:
        addons = []
        for title, amount, interval in (("Seats", 700, "month"), ("Disk", 333, "month"), ("Backup", 5000, "year")):
            product = world.stripe("POST", "/v1/products", name=title, **{"metadata[addon]": "true"})["id"]
            given = {"currency": "usd", "unit_amount": amount, "recurring[interval]": interval}
            addons.append(world.stripe("POST", "/v1/prices", product=product, **given)["id"])
        world.addons = addons
        world.portal = portal_of(world)
        world.coupons = []
        for text, form in (
            ("HALF", {"percent_off": 50, "duration": "repeating", "duration_in_months": 2}),
            ("ONCE", {"percent_off": 33.3, "duration": "once"}),
            ("TENNER", {"amount_off": 1000, "currency": "usd", "duration": "forever"}),
        ):
            made = world.stripe("POST", "/v1/coupons", **form)["id"]
            world.coupons.append(made)
            promotion = {"promotion[type]": "coupon", "promotion[coupon]": made}
            world.stripe("POST", "/v1/promotion_codes", code=text, **promotion)
        world.eventually(lambda: {row["id"] for row in world.rows("price")} >= set(addons))
        number = 0
        while number == 0 or time.monotonic() < ends:
            live(world, random.Random(start + number), f"user_{number}")  # noqa: S311 - dice
            number += 1
        print(f"{number} lives")  # noqa: T201 - how much was played
