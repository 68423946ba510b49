"""A simulated year: each figure is what a naive count of Stripe's own lists gives, and every paid cent is found."""

from collections import Counter, defaultdict
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

import pytest

from harness.databases import both_databases
from harness.gateway import SERVICE, make_world

START = int(datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp())
DAY, LASTS = 86_400, 361
NEVER = 10**12
USED = (3, 5, 11)
GIVEN, SPENT = 1000, 300
MONTHS = [f"2026-{number:02}" for number in range(1, 13)]
ANN = {"Authorization": f"Bearer op_{'a' * 40}"}
CONSOLE = {"console": True, "operator_tokens": f"ann:read:op_{'a' * 40}", "figures_rates": "EUR USD=0.9"}
CONSOLE["event_catch_up_minutes"] = 1  # where a delivery was answered too late, which Stripe repeats after minutes
AMOUNTS = ("mrr", "new", "expansion", "contraction", "churn", "paid", "failed", "recovered")
COUNTS = (
    *("customers", "newCustomers", "churnedCustomers", "paidInvoices", "failedInvoices", "recoveredInvoices"),
    *("started", "ended", "subscriptions", "active", "trialing", "trials", "trialsEnded", "converted"),
)
MONTH = f"month currency {' '.join(f'{name} {{ amount }}' for name in AMOUNTS)} {' '.join(COUNTS)}"
QUERY = f"""query($first: String!, $last: String!) {{ operator {{ figures(firstMonth: $first, lastMonth: $last) {{
    byCurrency {{ {MONTH} churnRate arpa {{ amount }} trialConversion }} waiting csv
    inOneCurrency {{ month currency mrr {{ amount }} paid {{ amount }} customers }}
    cohorts {{ month currency months {{ month paying }} }} now {{ currency status count }} creditsOutstanding
    usage {{ eventName value }} definitions {{ name text }} }} }} }}"""


def lists(world, path, **params):
    """A whole list of Stripe's, page by page."""
    found, after = [], {}
    while True:
        page = world.stripe("GET", path, limit=100, **params, **after)
        found += page["data"]
        if not page["has_more"]:
            return found
        after = {"starting_after": page["data"][-1]["id"]}


def buyer(world, card="pm_card_visa"):
    cus = world.stripe("POST", "/v1/customers", email="someone@example.com")["id"]
    method = world.stripe("POST", f"/v1/payment_methods/{card}/attach", customer=cus)["id"]
    world.stripe("POST", f"/v1/customers/{cus}", **{"invoice_settings[default_payment_method]": method})
    return cus


def round_half_up(amount: int, by: int) -> int:
    return int((Decimal(amount) / by).to_integral_value(ROUND_HALF_UP)) if by else 0


def price_of(world, **more):
    told = {"product": "prod_NwStarter000001", "currency": "usd", "recurring[interval]": "month", **more}
    return world.stripe("POST", "/v1/prices", **told)["id"]


def changes_within_periods(world):
    """People who change in the middle of a period: with discounts, add-ons, tiers, and to what is billed by use."""
    low, high = price_of(world, unit_amount=10000), price_of(world, unit_amount=20000)
    tiers = {"billing_scheme": "tiered", "tiers_mode": "volume", "tiers[0][up_to]": 5, "tiers[0][unit_amount]": 1000}
    tiered = price_of(world, **tiers, **{"tiers[1][up_to]": "inf", "tiers[1][unit_amount]": 800})
    meter = {"display_name": "Calls", "event_name": "year_calls", "default_aggregation[formula]": "sum"}
    meter_id = world.stripe("POST", "/v1/billing/meters", **meter)["id"]
    used = price_of(world, unit_amount=1, **{"recurring[usage_type]": "metered", "recurring[meter]": meter_id})
    by_fifth, by_half = (
        {"discounts[0][coupon]": world.stripe("POST", "/v1/coupons", percent_off=each, duration="forever")["id"]}
        for each in (20, 50)
    )
    within = world.stripe("POST", "/v1/tax_rates", display_name="VAT", percentage=19, inclusive="true")["id"]

    def sell(*prices, **more):
        items = {f"items[{n}][price]": each for n, each in enumerate(prices)}
        return world.stripe("POST", "/v1/subscriptions", customer=buyer(world), **items, **more)

    def change(sub, item=0, behavior="always_invoice", **more):
        known = world.stripe("GET", f"/v1/subscriptions/{sub['id']}")["items"]["data"][item]
        middle = (known["current_period_start"] + known["current_period_end"]) // 2
        dated = {} if behavior == "none" else {"proration_date": middle}
        wanted = {f"items[0][{name}]": value for name, value in {"id": known["id"], **more}.items()}
        world.stripe("POST", f"/v1/subscriptions/{sub['id']}", **wanted, **dated, proration_behavior=behavior)

    sell(low, **{"default_tax_rates[0]": within})
    classic = {"billing_mode[type]": "classic"}
    discounted = [sell(low, **by_fifth), sell(low, **by_fifth, **classic)]
    waits = sell(low, **by_fifth)
    addon, scaled = sell(low, high, **by_half), sell(tiered, **{"items[0][quantity]": 4})
    metered = sell(low)
    yield
    for sub in discounted:
        change(sub, price=high)
    change(waits, behavior="create_prorations", price=high)
    change(waits, behavior="create_prorations", price=low, quantity=3)
    change(addon, 1, deleted="true")
    change(scaled, quantity=8)
    change(metered, behavior="none", price=used)
    yield


def play(world):
    """A year of people who come, change, fail, pay after all, and go; each of them is one line of the story.

    Returns how many subscriptions had a status at Stripe as each month ended, by month, currency and status.
    """
    prices = {each["lookup_key"]: each["id"] for each in lists(world, "/v1/prices") if each["lookup_key"]}

    def sell(cus, key, **more):
        wanted = {"items[0][price]": prices[key], **more}
        return world.stripe("POST", "/v1/subscriptions", customer=cus, **wanted)

    def change(sub, key, **more):
        (item,) = world.stripe("GET", f"/v1/subscriptions/{sub['id']}")["items"]["data"]
        wanted = {"items[0][id]": item["id"], "items[0][price]": prices[key], "items[0][quantity]": 1, **more}
        world.stripe("POST", f"/v1/subscriptions/{sub['id']}", **wanted)

    stood, passed = {}, []

    def day(number):
        for month in MONTHS[len(passed) :]:
            year, after = divmod(int(month[:4]) * 12 + int(month[5:]), 12)
            end = int(datetime(year, after + 1, 1, tzinfo=UTC).timestamp()) - 1
            if end > START + number * DAY:
                break
            world.advance(to=end)
            listed = lists(world, "/v1/subscriptions", status="all")
            stood[month] = Counter((each["currency"], each["status"]) for each in listed)
            passed.append(month)
        world.advance(to=START + number * DAY)

    steady, yearly = sell(buyer(world), "starter_monthly"), sell(buyer(world), "business_yearly", currency="eur")
    grows = sell(buyer(world), "starter_monthly")
    trial = sell(buyer(world), "pro_monthly", trial_period_days=14)
    left = sell(buyer(world), "pro_monthly", trial_period_days=14)
    coupon = world.stripe("POST", "/v1/coupons", percent_off=50, duration="repeating", duration_in_months=2)["id"]
    sell(buyer(world), "business_monthly", **{"discounts[0][coupon]": coupon})
    changing = changes_within_periods(world)
    next(changing)
    day(5)
    world.stripe("DELETE", f"/v1/subscriptions/{left['id']}")
    day(18)
    next(changing)
    sell(buyer(world), "pro_monthly", trial_period_days=14)
    day(40)
    change(grows, "business_monthly", proration_behavior="always_invoice")
    shrinks = sell(buyer(world), "business_monthly", currency="eur")
    failing = buyer(world)
    fails = sell(failing, "starter_monthly")
    declined = world.stripe("POST", "/v1/payment_methods/pm_card_chargeCustomerFail/attach", customer=failing)["id"]
    world.stripe("POST", f"/v1/customers/{failing}", **{"invoice_settings[default_payment_method]": declined})
    day(75)
    good = world.stripe("POST", "/v1/payment_methods/pm_card_visa/attach", customer=failing)["id"]
    world.stripe("POST", f"/v1/customers/{failing}", **{"invoice_settings[default_payment_method]": good})
    late = world.stripe("GET", f"/v1/subscriptions/{fails['id']}")["latest_invoice"]
    if world.stripe("GET", f"/v1/invoices/{late}")["status"] == "open":
        world.stripe("POST", f"/v1/invoices/{late}/pay")
    change(shrinks, "starter_monthly", proration_behavior="create_prorations")
    world.stripe("POST", f"/v1/subscriptions/{steady['id']}", cancel_at_period_end="true")
    day(130)
    world.stripe(
        "POST",
        f"/v1/subscriptions/{trial['id']}",
        **{"items[0][id]": trial["items"]["data"][0]["id"]},
        **{"items[0][quantity]": 3},
    )
    comes_back = steady["customer"]
    sell(comes_back, "pro_yearly", trial_end="now")
    gone = buyer(world)
    sell(gone, "business_monthly")
    declined = world.stripe("POST", "/v1/payment_methods/pm_card_chargeCustomerFail/attach", customer=gone)["id"]
    world.stripe("POST", f"/v1/customers/{gone}", **{"invoice_settings[default_payment_method]": declined})
    day(140)
    owing = owing_as_months_end(world, sell)
    next(owing)
    day(185)
    next(owing)
    day(250)
    world.stripe("DELETE", f"/v1/subscriptions/{grows['id']}")
    day(360)
    use(world, yearly["customer"])
    day(LASTS)
    return stood


def owing_as_months_end(world, sell):
    """People who owe something as a month ends: by card and by bill, paid later; and one without a card."""
    late, cardless = buyer(world), world.stripe("POST", "/v1/customers")["id"]
    by_card = sell(late, "starter_monthly")
    by_bill = sell(buyer(world), "starter_monthly", collection_method="send_invoice", days_until_due=3)
    pauses = {"trial_settings[end_behavior][missing_payment_method]": "pause"}
    sell(cardless, "pro_monthly", trial_period_days=3, **pauses)
    declined = world.stripe("POST", "/v1/payment_methods/pm_card_chargeCustomerFail/attach", customer=late)["id"]
    world.stripe("POST", f"/v1/customers/{late}", **{"invoice_settings[default_payment_method]": declined})
    yield
    good = world.stripe("POST", "/v1/payment_methods/pm_card_visa/attach", customer=late)["id"]
    world.stripe("POST", f"/v1/customers/{late}", **{"invoice_settings[default_payment_method]": good})
    for invoice in lists(world, "/v1/invoices", status="open"):
        if invoice["parent"]["subscription_details"]["subscription"] in {by_card["id"], by_bill["id"]}:
            world.stripe("POST", f"/v1/invoices/{invoice['id']}/pay")
    world.stripe("DELETE", f"/v1/subscriptions/{by_bill['id']}")
    yield


def use(world, customer):
    """Somebody buys packs of credits, of which some go back, reports usage, is granted credits, and spends some."""
    packs = {each["lookup_key"]: each["id"] for each in lists(world, "/v1/prices") if each["lookup_key"]}
    for pack, back in (("credits_500", None), ("credits_500", 3), ("credits_100", 1)):
        invoice = world.stripe("POST", "/v1/invoices", customer=customer, currency="eur")["id"]
        item = {"customer": customer, "invoice": invoice, "currency": "eur", "pricing[price]": packs[pack]}
        world.stripe("POST", "/v1/invoiceitems", **item)
        paid = world.stripe("POST", f"/v1/invoices/{invoice}/pay")
        if back:
            (payment,) = lists(world, "/v1/invoice_payments", invoice=invoice)
            intent = payment["payment"]["payment_intent"]
            world.stripe("POST", "/v1/refunds", payment_intent=intent, amount=paid["total"] // back)
    asked = [
        ("linkCustomer", "LinkCustomerInput", {"customerId": customer, "idempotencyKey": "link"}),
        ("grantCredits", "GrantCreditsInput", {"amount": GIVEN, "reason": "a start", "idempotencyKey": "grant"}),
        ("spendCredits", "SpendCreditsInput", {"amount": SPENT, "idempotencyKey": "spend"}),
        *(
            ("reportUsage", "ReportUsageInput", {"eventName": "api_calls", "value": n, "identifier": f"{n}"})
            for n in USED
        ),
    ]
    for name, kind, told in asked:
        query = f"mutation($input: {kind}!) {{ {name}(input: $input) {{ userErrors {{ code }} }} }}"
        assert not world.data(query, {"input": {"externalId": "user", **told}}, SERVICE)[name]["userErrors"]


def credits_owed(world):
    """Return what customers should have at this moment: what Stripe's lists say was paid for, less what went back.

    What a plan brings is gone with its period; what the test has given and spent is added by its own numbers.
    """
    now, owed = START + LASTS * DAY, GIVEN - SPENT
    products = {each["id"]: each["metadata"] for each in lists(world, "/v1/products")}
    prices = {each["id"]: each for each in lists(world, "/v1/prices")}
    intents = {each["invoice"]: each["payment"]["payment_intent"] for each in lists(world, "/v1/invoice_payments")}
    gone = Counter()
    for refund in lists(world, "/v1/refunds"):
        gone[refund["payment_intent"]] += refund["amount"]
    for invoice in lists(world, "/v1/invoices", status="paid"):
        for line in invoice["lines"]["data"]:
            price = prices[line["pricing"]["price_details"]["price"]]
            brings = int((price["metadata"] or {}).get("credits") or products[price["product"]].get("credits") or 0)
            if not brings or (price["recurring"] and line["period"]["end"] <= now):
                continue
            assert line["amount"] > 0, "a part of a period, which this count does not know"
            bought = brings * line["quantity"]
            owed += bought - bought * gone[intents[invoice["id"]]] // invoice["total"]
    return owed


def counted(world, stood):  # noqa: C901 - as naive as it can be
    """Every figure of every month by going through Stripe's lists once for each: slow, and as the definitions say."""
    invoices = lists(world, "/v1/invoices")
    expanded = {"expand[0]": "data.discounts.source.coupon"}
    subs = {each["id"]: each for each in lists(world, "/v1/subscriptions", status="all", **expanded)}
    expanded = {"expand[0]": "data.currency_options", "expand[1]": "data.tiers"}
    prices = {each["id"]: each for each in lists(world, "/v1/prices", **expanded)}
    intents = {each["payment"]["payment_intent"]: each["invoice"] for each in lists(world, "/v1/invoice_payments")}
    first_failed = defaultdict(list)
    for charge in lists(world, "/v1/charges"):
        if charge["status"] == "failed" and charge["payment_intent"] in intents:
            first_failed[intents[charge["payment_intent"]]].append(charge["created"])

    def sub_of(invoice):
        return subs.get(((invoice["parent"] or {}).get("subscription_details") or {}).get("subscription"))

    def month_of(seconds):
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m")

    def cost(price, currency, quantity):
        if price.get("tiers"):
            of = next(each for each in price["tiers"] if each["up_to"] is None or quantity <= each["up_to"])
            return of["unit_amount"] * quantity
        return price["currency_options"][currency]["unit_amount"] * quantity

    def per_month(invoice, line):
        """A part of a period is what its price costs, without what its subscription's coupon takes off."""
        price = prices[line["pricing"]["price_details"]["price"]]
        net = Decimal(line["amount"] - sum(each["amount"] for each in line["discount_amounts"]))
        net -= sum(each["amount"] for each in line["taxes"] if each["tax_behavior"] == "inclusive")
        if (line["parent"]["subscription_item_details"] or {}).get("proration"):
            off = sum(each["source"]["coupon"]["percent_off"] for each in sub_of(invoice)["discounts"])
            net = Decimal(cost(price, invoice["currency"], line["quantity"])) * (100 - int(off)) / 100
        months = {"month": Decimal(1), "year": Decimal(12)}[price["recurring"]["interval"]]
        return int((net / months).to_integral_value(ROUND_HALF_UP))

    def is_recurring(line):
        price = prices.get(((line["pricing"] or {}).get("price_details") or {}).get("price"))
        return bool(price and price["recurring"] and price["recurring"]["usage_type"] == "licensed")

    paid_lines = [
        (invoice, line, line["parent"]["subscription_item_details"]["subscription_item"])
        for invoice in reversed(invoices)
        if invoice["status"] == "paid"
        for line in invoice["lines"]["data"]
        if is_recurring(line)
    ]

    def lasts(invoice, line, item, moment):
        """Until when a line counts, where no later one of its item takes its place."""
        sub, end = sub_of(invoice), line["period"]["end"]
        if sub["ended_at"]:
            return min(end, sub["ended_at"])
        held = {each["id"]: each["price"]["recurring"]["usage_type"] for each in sub["items"]["data"]}
        goes_on = sub["status"] == "active" and not sub["pause_collection"] and held.get(item) == "licensed"
        last = max(latest_of(item, NEVER), key=lambda each: each["period"]["end"])["period"]["end"]
        return (sub["cancel_at"] or moment) if goes_on and end == last else end

    def latest_of(item, moment):
        """The lines that say what an item is just before a moment: what began last is in the place of what was."""
        mine = [line for _, line, its in paid_lines if its == item and line["period"]["start"] < moment]
        begun = max((line["period"]["start"] for line in mine), default=0)
        mine = [line for line in mine if line["period"]["start"] == begun]
        charged = [line for line in mine if line["amount"] >= 0]
        return charged[-1:] or mine

    def monthly_at(moment):
        """What each customer pays monthly just before a moment."""
        found = Counter()
        for invoice, line, item in paid_lines:
            is_charge = line["amount"] >= 0 and line in latest_of(item, moment)
            if is_charge and line["period"]["start"] < moment <= lasts(invoice, line, item, moment):
                found[invoice["currency"], invoice["customer"]] += per_month(invoice, line)
        return found

    told = {}
    for month in MONTHS:
        begins = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
        ends = datetime(begins.year + begins.month // 12, begins.month % 12 + 1, 1, tzinfo=UTC)
        before, after = monthly_at(int(begins.timestamp())), monthly_at(int(ends.timestamp()))
        for currency in ("eur", "usd"):
            was = {c: max(n, 0) for (of, c), n in before.items() if of == currency}
            now = {c: max(n, 0) for (of, c), n in after.items() if of == currency}
            moved = {c: (was.get(c, 0), now.get(c, 0)) for c in was.keys() | now.keys()}
            mine = [each for each in invoices if each["currency"] == currency]
            paid = [
                each
                for each in mine
                if each["status"] == "paid" and month_of(each["status_transitions"]["paid_at"]) == month
            ]
            failed = [
                each for each in mine if each["id"] in first_failed and month_of(min(first_failed[each["id"]])) == month
            ]
            recovered = [each for each in failed if each["status"] == "paid"]
            lived = [s for s in subs.values() if s["currency"] == currency and not s["status"].startswith("incomplete")]
            over = [(s, min(s["trial_end"], s["ended_at"] or s["trial_end"])) for s in lived if s["trial_end"]]
            ended_trials = [(s, at) for s, at in over if month_of(at) == month]
            told[month, currency] = {
                "mrr": sum(now.values()),
                "new": sum(b for a, b in moved.values() if not a),
                "expansion": sum(b - a for a, b in moved.values() if a and b > a),
                "contraction": sum(a - b for a, b in moved.values() if b and a > b),
                "churn": sum(a for a, b in moved.values() if not b),
                "customers": sum(b > 0 for _, b in moved.values()),
                "newCustomers": sum(not a and b > 0 for a, b in moved.values()),
                "churnedCustomers": sum(a > 0 and not b for a, b in moved.values()),
                "paid": sum(each["amount_paid"] for each in paid),
                "paidInvoices": len(paid),
                "failed": sum(each["total"] for each in failed),
                "failedInvoices": len(failed),
                "recovered": sum(each["amount_paid"] for each in recovered),
                "recoveredInvoices": len(recovered),
                "started": sum(month_of(s["start_date"]) == month for s in lived),
                "ended": sum(bool(s["ended_at"]) and month_of(s["ended_at"]) == month for s in lived),
                "subscriptions": sum(
                    s["start_date"] < ends.timestamp() <= (s["ended_at"] or ends.timestamp()) for s in lived
                ),
                "active": stood[month][currency, "active"],
                "trialing": stood[month][currency, "trialing"],
                "trials": sum(bool(s["trial_start"]) and month_of(s["trial_start"]) == month for s in lived),
                "trialsEnded": len(ended_trials),
                "converted": sum(
                    any(
                        line["period"]["start"] >= at
                        and line["amount"] > sum(each["amount"] for each in line["discount_amounts"])
                        for invoice in invoices
                        if invoice["status"] == "paid" and (sub_of(invoice) or {}).get("id") == s["id"]
                        for line in invoice["lines"]["data"]
                    )
                    for s, at in ended_trials
                ),
            }
    return told


@pytest.mark.soak
@pytest.mark.timeout(600)
@both_databases
def test_each_figure_of_a_year_is_what_stripes_own_lists_say(database_url):
    with make_world(database_url, clock=START, **CONSOLE) as world:
        stood = play(world)
        theirs = {each["id"]: each for each in lists(world, "/v1/invoices")}
        mine = lambda: {row["id"]: (row["status"], row["amount_paid"]) for row in world.rows("invoice")}  # noqa: E731
        world.eventually(
            mine, {name: (each["status"], each["amount_paid"]) for name, each in theirs.items()}, seconds=400
        )
        asked = {"first": MONTHS[0], "last": MONTHS[-1]}
        world.eventually(lambda: world.data(QUERY, asked, ANN)["operator"]["figures"]["waiting"], 0, seconds=180)
        found = world.data(QUERY, asked, ANN)["operator"]["figures"]
        ours = {
            (each["month"], each["currency"].lower()): {
                **{name: each[name]["amount"] for name in AMOUNTS},
                **{name: each[name] for name in COUNTS},
            }
            for each in found["byCurrency"]
        }
        expected = counted(world, stood)
        for month in expected:
            assert ours[month] == expected[month], month
        assert ours.keys() == expected.keys()
        others = {(month, status) for month, told in stood.items() for _, status in told}
        assert others >= {("2026-06", "past_due"), ("2026-05", "past_due"), ("2026-06", "paused")}
        story = {name: {month for month, told in expected.items() if told[name]} for name in (*AMOUNTS, *COUNTS)}
        assert all(story.values()), [name for name, some in story.items() if not some]  # or nothing would be shown
        for each in found["byCurrency"]:
            told = expected[each["month"], each["currency"].lower()]
            rates = (told["churnedCustomers"], each["churnRate"]), (told["converted"], each["trialConversion"])
            was = ours.get((MONTHS[MONTHS.index(each["month"]) - 1], each["currency"].lower()), {}).get("customers", 0)
            of = (was if each["month"] != MONTHS[0] else 0, told["trialsEnded"])
            assert [rate for _, rate in rates] == [
                n / of_all if of_all else None for (n, _), of_all in zip(rates, of, strict=True)
            ]
            assert each["arpa"]["amount"] == (round_half_up(told["mrr"], told["customers"]))
        for each in found["cohorts"]:  # nobody is lost between them
            assert all(month["paying"] >= 0 for month in each["months"])
        for month in MONTHS:
            paying = sum(m["paying"] for c in found["cohorts"] for m in c["months"] if m["month"] == month)
            assert paying == sum(expected[month, currency]["customers"] for currency in ("eur", "usd"))
        for each in found["inOneCurrency"]:
            eur, usd = (expected[each["month"], currency] for currency in ("eur", "usd"))
            assert each["currency"] == "EUR"
            assert each["mrr"]["amount"] == eur["mrr"] + round_half_up(usd["mrr"] * 9, 10)
        subs = lists(world, "/v1/subscriptions", status="all")
        going = Counter((s["currency"].upper(), s["status"]) for s in subs if s["ended_at"] is None)
        assert {(each["currency"], each["status"]): each["count"] for each in found["now"]} == going
        assert found["usage"] == [{"eventName": "api_calls", "value": sum(USED)}]
        owed = credits_owed(world)
        world.eventually(lambda: world.data(QUERY, asked, ANN)["operator"]["figures"]["creditsOutstanding"], owed)
        assert found["csv"].count("\r\n") == 1 + len(ours)
        paid = sum(each["amount_paid"] for each in theirs.values())
        assert sum(amount for _, amount in mine().values()) == paid == sum(each["paid"] for each in ours.values())
