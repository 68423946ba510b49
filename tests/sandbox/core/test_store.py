"""What is tried out leaves nothing behind."""

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
