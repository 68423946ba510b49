"""What is tried out leaves nothing behind, and what is looked up by a field is what has it."""

import random

import pytest

from gateway.sandbox.core.store import Store


def test_a_dry_run_may_make_anew_what_its_transaction_has_deleted(tmp_path):
    store = Store(tmp_path / "state")
    store.put({"object": "job", "id": "a"})
    with store.transaction():
        store.delete("job", "a")
        with store.dry_run():
            store.put({"object": "job", "id": "a", "again": True})
        assert store.get("job", "a") is None
    store.close()
    assert Store(tmp_path / "state").get("job", "a") is None


@pytest.mark.parametrize("seed", range(5))
def test_what_is_found_by_fields_is_what_has_them_whatever_was_put_and_deleted(seed, tmp_path):
    dice, store, kept = random.Random(seed), Store(tmp_path / "state"), {}  # noqa: S311 - must repeat
    values = ["a", "b", 1, True, False, 2.5, None, ["a"], {"a": 1}]
    for step in range(300):
        name, tried = f"id_{dice.randrange(20)}", step % 7 == 0
        with store.dry_run() if tried else store.transaction():
            if dice.random() < 0.25:
                store.delete("thing", name)
                changed = {key: obj for key, obj in kept.items() if key != name}
            else:
                fields = {field: dice.choice(values) for field in dice.sample("xyz", dice.randrange(4))}
                changed = {**kept, name: store.put({"object": "thing", "id": name, **fields})}
        kept = kept if tried else changed
        wanted = {field: dice.choice(values[:7]) for field in dice.sample("xyz", dice.randrange(1, 3))}
        assert names(store, wanted) == right(kept, wanted)
    store.close()
    assert names(Store(tmp_path / "state"), {"x": "a"}) == right(kept, {"x": "a"})


@pytest.mark.parametrize("seed", range(3))
def test_a_narrowed_list_is_what_all_of_them_filtered_would_be(seed):
    """By lists and bounds, after a cursor, whatever was put, changed, deleted and undone before."""
    dice, store, moment = random.Random(seed), Store(), 100  # noqa: S311 - must repeat
    for step in range(120):
        moment += dice.choice([0, 0, 1, 5] if seed else [0, 1, -3])
        before = [each["id"] for each in store.scan("event")]
        with store.dry_run() if step % 9 == 0 else store.transaction():
            if before and dice.random() < 0.2:
                store.delete("event", dice.choice(before))
            for name in {f"evt_{step}", *dice.sample(before, min(len(before), dice.randrange(2)))}:
                old = store.get("event", name) or {}
                made = {"created": moment, "type": dice.choice("abcde")} | (old if dice.random() < 0.9 else {})
                store.put({**made, "object": "event", "id": name})
        every = list(store.scan("event"))
        assert [each["id"] for each in every] == sorted((each["id"] for each in every), key=number_of, reverse=True)
        low, high = moment - dice.randrange(40), moment - dice.randrange(20)
        bounds = dice.choice([{"gte": low}, {"gt": low, "lte": high}, {"lt": high}, {"gte": low, "lt": high}])
        types = dice.sample("abcdef", dice.randrange(4))
        after = dice.choice([None, *(each["id"] for each in every)])
        older = every[[each["id"] for each in every].index(after) + 1 :] if after else every
        for narrowed in ({"created": bounds}, {"type": types}, {"created": bounds, "type": types}):
            fits = [each for each in older if all(holds(each[name], wanted) for name, wanted in narrowed.items())]
            found = list(store.scan("event", narrowed, after=after))
            assert [each for each in found if each in fits] == fits
            if len(narrowed) == 1:
                assert found == fits


def number_of(name):
    return int(name.removeprefix("evt_"))


def holds(value, wanted):
    if isinstance(wanted, list):
        return value in wanted
    compared = {"gt": value.__gt__, "gte": value.__ge__, "lt": value.__lt__, "lte": value.__le__}
    return all(compared[name](bound) for name, bound in wanted.items())


def names(store, wanted):
    return {found["id"] for found in store.find("thing", **wanted)}


def right(kept, wanted):
    return {key for key, obj in kept.items() if all(obj.get(field) == value for field, value in wanted.items())}
