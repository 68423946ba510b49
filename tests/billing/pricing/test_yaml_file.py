"""What a file of prices may say."""

import pytest

from gateway.billing.pricing.yaml_file import dump, parse
from gateway.errors import BadInput
from harness.pages import blocks

NESTED = ", ".join(f"&a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 6))
BOMB = f"{{name: Calls}}\n  ? [&a0 [a], {NESTED}]\n  : 1"
"""A key that, written out, has nine to the fifth words."""
FILE = """
meters:
  calls: {name: Calls}
features:
  sso: Single sign-on
products:
  prod_pro:
    name: 2023
    features: [sso]
    limits: {projects: 25}
    credits: 100
    languages:
      no: {name: Proff}
    metadata: {group: yes}
    default_price: pro_monthly
    prices:
      pro_monthly:
        currency: usd
        amount: 2900
        interval: month
        currencies: {eur: 0.50}
"""


def test_the_file_in_the_docs_is_one():
    (shown,) = blocks("pricing", "yaml")
    product = parse(shown).products["prod_pro"]
    assert product.all_metadata().items() >= {"limit_projects": "25", "credits": "1000", "name_de": "Profi"}.items()
    assert parse(dump(parse(shown))) == parse(shown)


def test_a_file_says_what_stands_in_it_and_is_written_as_it_was_read():
    file = parse(FILE)
    product = file.products["prod_pro"]
    assert product.name == "2023"
    assert product.all_metadata() == {"limit_projects": "25", "credits": "100", "name_no": "Proff", "group": "yes"}
    assert product.prices["pro_monthly"].currencies["eur"].amount == "0.5"
    assert parse(dump(file)) == file
    assert parse("") == parse(dump(parse("")))


@pytest.mark.parametrize(
    ("wrong", "right", "told"),
    [
        (
            "        interval: month",
            "        interval_: month",
            "line 20: .*interval_ is no key here; did you mean inter",
        ),
        (
            "    name: 2023",
            "    naem: 2023",
            "line 8: .*naem is no key here; did you mean name.*|line 7: .*name is missing",
        ),
        ("meters:", "metres:", "line 2: metres: metres is no key here; did you mean meters"),
        ("amount: 2900", "amount: 29.00.1", "line 19: .*amount: must be an amount"),
        ("amount: 2900", "amount: -1", "line 19: .*amount: must be an amount"),
        ("        amount: 2900", "", "line 17: .*exactly one of amount, tiers and custom_amount"),
        ("        amount: 2900", "        amount: 2900\n        amount: 1", "line 20: 'amount' stands here twice"),
        ("features: [sso]", "features: [ssoo]", "line 9: .*ssoo is not among the file's features"),
        ("interval: month", "interval: month\n        meter: cals", "line 21: .*cals is not among the file's meters"),
        ("interval: month", "interval: months", "line 20: .*interval: .*'month'"),
        ("default_price: pro_monthly", "default_price: pro", "line 15: .*must be an active price of this product"),
        ("group: yes", "credits: 5", "line 7: .*metadata.credits is said by another key"),
        ("group: yes", "group: ''", "line 14: .*group"),
        ("currencies: {eur: 0.50}", "currencies: {usd: 1}", "line 17: .*currencies.usd is the price's own"),
        ("currencies: {eur: 0.50}", "tiers_mode: volume", "line 17: .*tiers and tiers_mode belong together"),
        ("{name: Calls}", "&a {name: Calls}\n  more: *a", "anchors and aliases are not supported"),
        ("{name: Calls}", BOMB, "^line [0-9]+: a list or a mapping is no key$"),
        ("{name: Calls}", "{name: Calls", "line "),
        ("{name: Calls}", "!!python/object/apply:os.system [ls]", "line 3: meters.calls"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(wrong, right, told):
    assert FILE.count(wrong) == 1
    with pytest.raises(BadInput, match=told):
        parse(FILE.replace(wrong, right))
