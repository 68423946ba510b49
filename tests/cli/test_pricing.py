"""`gateway pricing`, as an operator uses it."""

import re

from harness.command import run
from harness.gateway import make_world


def test_a_price_is_raised_and_who_has_the_old_one_keeps_it(tmp_path, sqlite_url):
    with make_world(sqlite_url) as world:

        def pricing(*words, code=0):
            done = run("pricing", *words, cwd=tmp_path, **world.environment())
            assert done.returncode == code, done.stdout
            return done.stdout

        old = world.stripe("GET", "/v1/prices", **{"lookup_keys[]": "starter_monthly"})["data"][0]["id"]
        card = {"payment_method": "pm_card_visa", "invoice_settings[default_payment_method]": "pm_card_visa"}
        customer = world.stripe("POST", "/v1/customers", email="ada@example.com", **card)["id"]
        bought = world.stripe("POST", "/v1/subscriptions", customer=customer, **{"items[0][price]": old})
        world.eventually(lambda: world.rows("subscription", id=bought["id"]))

        assert "9 products and 13 prices are in prices.yaml" in pricing("pull", "prices.yaml")
        file = tmp_path / "prices.yaml"
        before = file.read_text()
        dearer = re.sub(r"(starter_monthly:\n.*\n?\s+amount:) 900", r"\1 950", before)
        file.write_text(dearer.replace("name: Starter\n", "name: First\n"))
        out = pricing("plan", "prices.yaml", "--check", code=1)
        assert f"~ price starter_monthly: 950 usd a month, as a new price (who keeps {old}: 1 subscription)" in out
        assert '~ product prod_NwStarter000001 (Starter): name "Starter" → "First" (who has it: 1 subscription)' in out
        assert world.rows("price", id=old)[0]["lookup_key"] == "starter_monthly"  # a plan changes nothing

        pricing("push", "prices.yaml", "--yes")
        (new,) = world.rows("price", lookup_key="starter_monthly")
        assert (new["unit_amount"], world.rows("price", id=old)[0]["active"]) == (950, False)
        assert '"eur"' in new["currency_options"]
        price = world.stripe("GET", f"/v1/subscriptions/{bought['id']}")["items"]["data"][0]["price"]
        assert (price["id"], price["unit_amount"]) == (old, 900)

        file.write_text('features: {"\\e[2J": x}')  # which would clear the terminal
        assert "+ feature \ufffd[2J\n" in pricing("plan", "prices.yaml")
        file.write_text('"\\e[2J": 1')
        assert "\ufffd[2J is no key here" in pricing("plan", "prices.yaml", code=1)
        file.write_text(before.replace("active: false", "actives: false"))
        assert "did you mean active?" in pricing("plan", "prices.yaml", code=1)
