"""What a schedule has planned while its customer leaves: a table of what is kept, and what comes back."""

from datetime import UTC, datetime

import pytest

from gateway.billing.subscriptions.set_aside import brought_back, coming_back, set_aside

STARTED, ENDS, LATER, LAST = 1_000, 2_000, 3_000, 4_000
END = datetime.fromtimestamp(ENDS, UTC)
ITEM = {"price": "month", "plan": "month", "quantity": 1, "metadata": {}, "discounts": [], "tax_rates": []}
NOW_PHASE = {"start_date": STARTED, "end_date": ENDS, "items": [ITEM]}
SHOWN = {
    "start_date": ENDS,
    "end_date": LATER,
    "items": [
        {**ITEM, "quantity": 5, "discounts": [{"coupon": {"id": "HALF"}, "discount": None}], "metadata": {"a": "b"}}
    ],
    "default_tax_rates": [{"id": "txr_1", "percentage": 19}],
    "discounts": [],
    "description": "Ein Geschenk, für  Ada ",
    "automatic_tax": {"enabled": True, "disabled_reason": None, "liability": {"type": "account", "account": "acct_1"}},
    "add_invoice_items": [{"price": {"id": "fee"}, "quantity": 1, "tax_rates": [], "discounts": []}],
    "transfer_data": {"destination": {"id": "acct_2"}, "amount_percent": 10},
    "proration_behavior": "none",
    "trial_end": LATER,
    "trial": True,
    "currency": "usd",
    "on_behalf_of": None,
}
GIVEN = {
    "end_date": LATER,
    "items": [{"price": "month", "quantity": 5, "discounts": [{"coupon": "HALF"}], "metadata": {"a": "b"}}],
    "default_tax_rates": ["txr_1"],
    "description": "Ein Geschenk, für  Ada ",
    "automatic_tax": {"enabled": True, "liability": {"type": "account", "account": "acct_1"}},
    "add_invoice_items": [{"price": "fee", "quantity": 1}],
    "transfer_data": {"destination": "acct_2", "amount_percent": 10},
    "proration_behavior": "none",
    "trial_end": LATER,
    "currency": "usd",
}
FINAL = {"customer_may_change": "false"}


def schedule(*later: dict, **said) -> dict:
    phases = [{**NOW_PHASE, "start_date": 1, "end_date": STARTED}, NOW_PHASE, *later]
    return {"phases": phases, "current_phase": NOW_PHASE, "end_behavior": "cancel", "metadata": {}, **said}


def back(saved: dict, now: int) -> dict:
    """What brings back what was set aside, in a schedule that has other metadata as well."""
    begun = {"phases": [NOW_PHASE], "current_phase": NOW_PHASE, "metadata": {"note": "mine", **saved}}
    items = [{"price": {"id": "month"}, "quantity": 1, "metadata": {}, "tax_rates": []}]
    said = dict.fromkeys(("default_tax_rates", "default_payment_method", "description"))
    said |= {"discounts": [], "metadata": {}, "collection_method": "charge_automatically", "status": "active"}
    return brought_back({**said, "items": {"data": items}, "schedule": begun}, datetime.fromtimestamp(now, UTC))


def test_all_that_a_phase_says_comes_back():
    saved = set_aside(schedule(SHOWN, metadata=None), END)
    assert all(len(text) <= 500 and text.strip() == text for text in saved.values())
    found = back(saved, STARTED + 9)
    assert found["phases"][1:] == [GIVEN]
    assert (found["phases"][0]["start_date"], found["phases"][0]["end_date"]) == (STARTED, ENDS)
    assert (found["end_behavior"], found["metadata"]) == ("cancel", dict.fromkeys(saved, ""))


def test_much_of_it_takes_several_keys():
    many = [{**SHOWN, "start_date": ENDS + n, "end_date": LATER + n} for n in range(12)]
    saved = set_aside(schedule(*many), END)
    assert len(saved) > 10  # so that their order by name is another
    assert back(saved, STARTED + 9)["phases"][1:] == [{**GIVEN, "end_date": LATER + n} for n in range(12)]


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        (ENDS - 1, (ENDS, LATER, LAST)),
        (ENDS, ("now", LATER, LAST)),  # the phase began within the period that was paid for
        (LATER - 1, ("now", LATER, LAST)),
        (LATER, ("now", LAST)),
        (LAST, ("now", LAST + 9)),  # it goes on as the last has made it
    ],
)
def test_what_is_due_by_now_begins_now(now, ends):
    phases = [
        {**NOW_PHASE, "start_date": ENDS, "end_date": LATER},
        {**NOW_PHASE, "start_date": LATER, "end_date": LAST},
    ]
    phases[0]["add_invoice_items"], phases[1]["add_invoice_items"] = [{"price": "fee"}], [{"price": "more"}]
    found = back(set_aside(schedule(*phases), datetime.fromtimestamp(LAST + 9, UTC)), now)["phases"]
    assert tuple(each["end_date"] for each in found) == ends
    billed = [item["price"] for each in found[1:] for item in each["add_invoice_items"]]
    assert billed == ["fee", "more"]  # also what a phase that is over would have billed


@pytest.mark.parametrize(("first", "last"), [([], []), ([{"price": "fee"}], [])])
def test_of_phases_that_bill_nothing_beside_their_items_nothing_is_billed(first, last):
    phases = [
        {**NOW_PHASE, "start_date": ENDS, "end_date": LATER, "add_invoice_items": first},
        {**NOW_PHASE, "start_date": LATER, "end_date": LAST, "add_invoice_items": last},
    ]
    found = back(set_aside(schedule(*phases), END), LATER)
    assert [each.get("add_invoice_items", []) for each in found["phases"][1:]] == [first]
    assert found["proration_behavior"] == "none"


def test_when_the_present_phase_ends_is_the_same_wherever_the_gateway_runs(far_west):
    assert back(set_aside(schedule(SHOWN), END), STARTED + 9)["phases"][0]["end_date"] == ENDS


def test_as_many_keys_as_there_is_room_for_are_kept():
    saved = set_aside(schedule(metadata={f"key {n}": "" for n in range(39)}), END)
    assert saved.keys() == {"ended_by_customer", "set_aside_0"}


def test_an_end_alone_comes_back():
    saved = set_aside(schedule(), END)
    assert [each["end_date"] for each in back(saved, STARTED + 9)["phases"]] == [ENDS]


@pytest.mark.parametrize(
    "given",
    [
        schedule({**SHOWN, "of_tomorrow": "x"}),
        schedule({**SHOWN, "items": [{**ITEM, "of_tomorrow": None}]}),
        schedule(end_behavior="renew"),
        schedule(current_phase=None),
        schedule({**SHOWN, "description": "x" * 20_001}),
        schedule(metadata={f"key {n}": "" for n in range(40)}),
    ],
)
def test_what_cannot_be_given_back_exactly_is_not_kept(given):
    assert set_aside(given, END) == FINAL


def test_whoever_asks_is_told_what_would_come_back():
    other = {**SHOWN, "items": [ITEM, {**ITEM, "price": {"id": "disk"}}]}
    saved = set_aside(schedule(SHOWN, other), END)
    assert coming_back({"schedule": {"metadata": saved}}) == {"month", "disk"}
    spoilt = [{}, {"set_aside_0": "["}, {"set_aside_1": "{}"}, {"set_aside_0": "{}"}]
    assert [coming_back({"schedule": {"metadata": each}}) for each in spoilt] == [set()] * 4
    assert coming_back({"schedule": None}) == set()
