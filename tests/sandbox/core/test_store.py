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


def names(store, wanted):
    return {found["id"] for found in store.find("thing", **wanted)}


def right(kept, wanted):
    return {key for key, obj in kept.items() if all(obj.get(field) == value for field, value in wanted.items())}
