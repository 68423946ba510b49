"""What the sums are after customers were marked and reckoned, in a database."""

import asyncio
import contextlib

import pytest
import sqlalchemy as sa

from gateway.billing.figures import store
from gateway.billing.figures.rules import Invoice, Rate, Subscription, parts
from gateway.billing.figures.store import FIGURES, KEEPS_FIGURES, SUMS, Figures, mark, on_write, reckon, reckoned
from gateway.mirror.effects import Written
from harness import rows
from harness.databases import both_connections
from harness.rows import at, customer, item, line, price, put, subscription
from harness.waiting import eventually_async

PRICES = [price("month", "plan")]


def bill(name: str, *lines, customer_id: str = "cus_1", **columns):
    return rows.invoice(name, *lines, customer_id=customer_id, **columns)


def sums(connection) -> dict[tuple[str, str], tuple[int, int]]:
    return {(row.month, row.name): (row.amount, row.count) for row in connection.execute(sa.select(SUMS)) if row[3:]}


def stored(connection) -> dict[str, tuple[int, bool]]:
    return {row.customer_id: (row.revisions, row.due) for row in connection.execute(sa.select(FIGURES))}


@both_connections
def test_who_is_reckoned_anew_is_taken_off_the_sums_first(connection):
    theirs = {"sub_2": 7, "sub_3": 2}
    subscriptions = [subscription(name, customer_id="cus_2", revision=number) for name, number in theirs.items()]
    subscriptions.append(subscription())
    put(connection, *PRICES, *subscriptions, item("si_1", "month", "plan"), bill("in_1", line(-3, 27), revision=4))
    mark(connection, ["cus_1", "cus_2", "acct_1/cus_3"])
    assert stored(connection) == {"cus_1": (0, True), "cus_2": (0, True)}
    assert store.is_waiting(connection)
    assert (reckon(connection), reckon(connection)) == (2, 0)
    assert not store.is_waiting(connection)
    month, before = "2126-11", sums(connection)
    assert stored(connection) == {"cus_1": (1 + 4, False), "cus_2": (9, False)}
    assert (before[month, "new"], before[month, "paid"], before[month, "started"]) == ((900, 1), (900, 1), (0, 3))
    assert not [key for key in before if key[1] == "churn"]  # its item is there, and goes on

    connection.execute(sa.update(store.INVOICES).values(amount_paid=700, revision=5))
    connection.execute(sa.delete(store.SUBSCRIPTIONS).where(store.SUBSCRIPTIONS.c.customer_id == "cus_2"))
    mark(connection, ["cus_1", "cus_2"])
    assert stored(connection) == {"cus_1": (5, True), "cus_2": (9, True)}
    assert reckon(connection) == 2
    changed = {(month, "paid"): (700, 1), (month, "started"): (0, 1), ("now", "status active"): (0, 1)}
    assert sums(connection) == before | changed | {(month, "active"): (0, 1)}
    assert stored(connection) == {"cus_1": (6, False), "cus_2": (0, False)}


def test_so_many_are_reckoned_at_a_time(connection):
    mark(connection, ["cus_1", "cus_2", "cus_3"])
    assert [reckon(connection, 2) for _ in range(3)] == [2, 1, 0]


def test_each_column_is_what_the_rules_take_it_for(connection):
    dated = {"first_failed_at": at(-1), "due_date": at(-2), "created": at(-4), "paid_at": at(-3)}
    lives = {"start_date": at(-40), "ended_at": at(60), "cancel_at": at(90), "currency": "eur"}
    lives |= {"trial_start": at(-39), "trial_end": at(-10), "pause_behavior": "void"}
    own, other = line(-3, 27), line(27, 57, 700, subscription_item="si_2", price="eur")
    put(
        connection,
        price("month", "plan", currency_options={"eur": {"unit_amount": 800}, "jpy": {}}),
        price("eur", "plan", currency="eur", interval_count=3, usage_type=None, unit_amount=None),
        price("tiered", "plan", billing_scheme="tiered"),
        price("packed", "plan", transform_quantity={"divide_by": 2}, interval_count=None),
        price("metered", "plan", usage_type="metered"),
        price("once", "plan", interval=None),
        *(subscription("sub_1", **lives), subscription("sub_2", "past_due", customer_id="cus_2", deleted=True)),
        *(item("si_1", "month", "plan"), item("si_2", "packed", "plan"), item("si_3", "metered", "plan")),
        bill("in_1", own, other, total=2900, amount_paid=2800, currency="eur", **dated),
        bill("in_2", line(-3, 27), deleted=True, revision=3),
        bill("in_3", status="open", customer_id="cus_2", subscription_id=None, due_date=at(-2)),
    )
    rates = {
        "month": Rate("month", 1, {"usd": 900, "eur": 800}),
        "eur": Rate("month", 3, {}),
        "packed": Rate("month", 1, {}),
    }
    invoice = Invoice("paid", "eur", 2900, 2800, at(-3), at(-1), "sub_1", [own, other], at(-4), at(-2))
    own_items = frozenset({("si_1", "month"), ("si_2", "packed"), ("si_3", "metered")})
    times = at(-40), at(60), at(90), at(-39), at(-10)
    one = Subscription("sub_1", "active", "eur", *times, is_paused=True, items=own_items)
    assert store._subscription(*[connection.execute(sa.select(store.SUBSCRIPTIONS)).first()], own_items) == one
    found, revisions = reckoned(connection, ["cus_1", "cus_2", "cus_3"])
    assert found["cus_1"] == parts([invoice], [one], rates)
    assert found["cus_3"] == []
    assert revisions == {"cus_1": 1 + 1 + 3, "cus_2": 2, "cus_3": 0}
    assert store._rates(connection, [*rates, "tiered", "metered", "once", "other"]) == rates | {
        "tiered": Rate("month", 1, {})
    }


def test_one_that_cannot_be_reckoned_keeps_nobody_waiting_and_is_looked_at_again(connection):
    put(connection, *PRICES, bill("in_1", line(-3, 27), customer_id="cus_2"), bill("in_2", line(-3, 27, amount="x")))
    mark(connection, ["cus_1", "cus_2"])
    assert reckon(connection) == 2
    assert stored(connection) == {"cus_1": (-1, False), "cus_2": (1, False)}
    assert sums(connection)["2126-11", "paid"] == (900, 1)


@pytest.mark.parametrize(("keeps", "marked"), [(True, {"cus_1", "cus_2"}), (False, set())])
def test_who_is_written_about_is_marked_where_figures_are_kept(connection, keeps, marked):
    kinds = {"invoice": "cus_1", "subscription": "cus_2", "charge": "cus_3"}
    written = [Written(kind, kind, {"customer_id": whose}, created=True) for kind, whose in kinds.items()]
    written.append(Written("invoice", "in_2", {"customer_id": None}, created=True))
    connection.info[KEEPS_FIGURES] = keeps
    try:
        on_write(connection, written)
    finally:
        del connection.info[KEEPS_FIGURES]
    assert stored(connection).keys() == marked


async def test_whose_rows_were_written_while_no_figures_were_kept_are_marked(database, fill):
    names = ["A", *(f"cus_{number}" for number in range(7))]
    await fill(*map(customer, (*names, "acct_1/cus_1")), *PRICES, subscription("sub_1", customer_id="acct_1/cus_1"))
    await fill(*(bill(f"in_{name}", line(-3, 27), customer_id=name) for name in names[:-1]))
    await fill(subscription("sub_2", customer_id="cus_1", revision=3))
    figures = Figures(database, page_size=3)
    await figures.look_through()
    assert (await database.read(stored)).keys() == {*names[:-1]}
    await database.transaction(reckon)
    await figures.look_through()
    assert not await database.read(store.is_waiting)
    await database.transaction(
        lambda one: one.execute(sa.update(store.SUBSCRIPTIONS).values(revision=store.SUBSCRIPTIONS.c.revision + 1))
    )
    await figures.look_through()
    assert {name for name, (_, due) in (await database.read(stored)).items() if due} == {"cus_1"}

    task = asyncio.create_task(figures.run())
    await eventually_async(lambda: database.read(store.is_waiting), False)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert (await database.read(stored))["cus_1"] == (5, False)
