"""What a file of prices may say."""

import pytest

from gateway.billing.pricing.catalogue import amount, text
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
    ("wrong", "right", "message"),
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
        ("{name: Calls}", BOMB, "^line 4: a list or a mapping is no key$"),
        ("{name: Calls}", "{name: Calls", "^line 4: expected ',' or '}', but got ':'$"),
        ("{name: Calls}", "!!python/object/apply:os.system [ls]", "line 3: meters.calls"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(wrong, right, message):
    assert FILE.count(wrong) == 1
    with pytest.raises(BadInput, match=message):
        parse(FILE.replace(wrong, right))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("- a", "line 1: : Input should be a valid dictionary or instance of Catalogue"),
        ("\n- a", "line 2: : Input should be a valid dictionary or instance of Catalogue"),
        ("zzz: 1", "line 1: zzz: zzz is no key here"),
        ("products:\n  a: {zzz: 1}", "line 2: products.a.zzz: zzz is no key here\nline 2: products.a: name is missing"),
        ("a: b: c", "line 1: mapping values are not allowed here"),
        (
            "meters: {}\nproducts:\n" + "\n" * 6 + "  p:\n    name: P\n    features:\n    - [a]\n    - ' '\n",
            (
                "line 12: products.p.features.0: Input should be a valid string\n"
                "line 13: products.p.features.1: String should match pattern '^\\S{1,200}$'"
            ),
        ),
        (
            "\n" * 7 + "z: 1\ny: 1\nx: 1",
            "line 8: z: z is no key here\nline 9: y: y is no key here\nline 10: x: x is no key here",
        ),
        (
            "products:\n  a: {name: A, features: [b], default_price: p}\n  b: {name: B, features: [c]}",
            (
                "line 2: products.a.default_price: must be an active price of this product\n"
                "line 2: products.a.features: b is not among the file's features\n"
                "line 3: products.b.features: c is not among the file's features"
            ),
        ),
        (
            (
                "products:\n  a: {name: A, prices: {p: {currency: usd, amount: 1}}}\n"
                "  b: {name: B, prices: {p: {currency: usd, amount: 1}}}"
            ),
            "line 3: products.b.prices.p: is a price of a already",
        ),
    ],
)
def test_all_that_is_wrong_is_told_by_its_line_from_the_top(document, message):
    with pytest.raises(BadInput) as refused:
        parse(document)
    assert str(refused.value) == message


WIDE = "b" + " ".join(["ä"] * 60)
WRITTEN = f"""meters:
  calls:
    name: Calls
features:
  sso: Single sign-on
products:
  prod_pro:
    name: '2023'
    description: {WIDE[:104]}
      {WIDE[105:]}
    active: false
    features:
    - sso
    default_price: pro_monthly
    credits: 100
    limits:
      projects: 25
    languages:
      'no':
        name: Proff
    metadata:
      group: 'yes'
    prices:
      pro_monthly:
        amount: 2900
        currency: usd
        interval: month
        currencies:
          eur: '0.5'
          gbp:
            amount: 70
            tax: inclusive
  prod_free:
    name: Free
"""


def test_a_file_is_written_in_the_order_in_which_it_is_read():
    more = {"    name: 2023\n": f"    name: 2023\n    description: {WIDE}\n    active: false\n    url: null\n"}
    more |= {"{eur: 0.50}": "{eur: 0.50, gbp: {amount: 70, tax: inclusive}}", "yes}": "'yes'}"}
    read = FILE + "  prod_free: {name: Free}\n"
    for was, becomes in more.items():
        read = read.replace(was, becomes)
    assert dump(parse(read)) == WRITTEN
    assert parse(WRITTEN).products["prod_free"].all_metadata() == {}


@pytest.mark.parametrize(
    ("value", "read"), [(True, "true"), (False, "false"), (2023, "2023"), ("a", "a"), (None, None), (1.5, 1.5)]
)
def test_what_is_text_where_text_is_wanted(value, read):
    assert text(value) == read


@pytest.mark.parametrize(("value", "read"), [(None, None), (7, 7), ("7", 7), ("2.50", "2.5"), ("3.0", 3), (0, 0)])
def test_what_is_an_amount(value, read):
    assert (amount(value), type(amount(value))) == (read, type(read))


@pytest.mark.parametrize("value", [True, 0.5, "1e3", "-1", "", "x"])
def test_what_is_no_amount(value):
    with pytest.raises(ValueError, match="must be an amount"):
        amount(value)
