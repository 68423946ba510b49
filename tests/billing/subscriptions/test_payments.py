"""What the invoices of a subscription tell about it, as a table without a database."""

import itertools
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from gateway.billing.subscriptions.payments import payments
from gateway.models.mirrored import Subscription

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def at(days: float) -> datetime:
    return NOW + days * DAY


def line(start: float, end: float, amount: int = 900, *, item: str = "si_1", proration: bool = False, **more):
    period = {"period_start": int(at(start).timestamp()), "period_end": int(at(end).timestamp())}
    named = {"id": f"il_{start}_{end}_{amount}", "description": "Plan", "price": "price_1", "quantity": 1}
    return {"amount": amount, "subscription_item": item, "proration": proration, **named, **period, **more}


def invoice(status: str, *lines, created: float = -3, total: int = 900, **columns):
    given = {
        "id": f"in_{created}",
        "number": None,
        "status": status,
        "total": total,
        "created": at(created),
        "lines": list(lines),
        "collection_method": "charge_automatically",
        "due_date": None,
        "attempt_count": 0,
        "first_failed_at": None,
        "finalized_at": at(created),
        "voided_at": None,
        "in_dispute": False,
    }
    return SimpleNamespace(**{**given, **columns})


def judged(*invoices, returned: dict[str, int] | None = None, **columns):
    row = Subscription(
        id="sub_1", as_of=0, customer_id="cus_1", status="active", currency="eur", created=NOW, start_date=NOW
    )
    for name, value in columns.items():
        setattr(row, name, value)
    for each in invoices:
        each.returned = (returned or {}).get(each.id, 0)
    return payments(row, invoices, NOW)


PAID = invoice("paid", line(-3, 27))
YEAR = invoice("paid", line(-3, 362), total=9000)
CHANGED = invoice("paid", line(-3, 362, -9000), line(-3, 27), id="in_later", number="A-2", total=-8100)
NAMED = invoice("paid", line(-1, 27, -900, credited=["il_a"]), created=-1, total=-900)


OWN = {"paused_by_customer_until_" + str(int(at(0).timestamp())): str(int(at(-10).timestamp()))}
AWAY = invoice("void", line(-2, 363, 9000, price="price_y", product="prod_1"), created=-2)
MORE = invoice("void", line(-2, 27, 8000, quantity=100, product="prod_1"), created=-2)
SEATS = invoice("paid", line(-3, 27, 45, quantity=5), line(-3, 27, 4, quantity=1, id="il_fee"))
PERIOD = at(-3), at(27)
AS_PAID = ("price_1", None, 1, PERIOD)
RUNS = {"paused_by_customer_until_resumed": str(int(at(-3).timestamp()))}
LATER = at(-1.5), at(28)
BETWEEN = invoice("paid", line(-1.5, 28, product="pro"), created=-1.5, id="in_-3")
PAIR = invoice("paid", line(-3, 27, 45, quantity=2), line(-3, 27, 4, quantity=1, id="il_fee"))


@pytest.mark.parametrize(
    ("invoices", "metadata", "unpaid"),
    [
        ([AWAY], OWN, {"si_1": None}),
        ([AWAY], {}, {}),  # a gift of the seller's
        ([AWAY], {"paused_by_customer_until_resumed": str(int(at(-10).timestamp()))}, {"si_1": None}),
        ([AWAY], {"paused_by_customer_until_resumed": str(int(at(-2).timestamp()) + 1)}, {}),  # before it
        ([AWAY], {"paused_by_customer_until_resumed": str(int(at(-2).timestamp()))}, {"si_1": None}),
        ([AWAY], {"paused_by_customer_until_5": "1"}, {}),  # after it
        ([invoice("void", line(-2, 363, 9000), created=-2, attempt_count=1)], OWN, {}),  # it was charged in vain
        ([invoice("void", line(-2, 363, 9000), created=-2, voided_at=at(-2 + 1 / 24))], OWN, {"si_1": None}),
        ([invoice("void", line(-2, 363, 9000), created=-2, voided_at=at(-1.9))], OWN, {}),  # later, by the seller
        ([invoice("void", line(-2, 363, 9000), created=-2, voided_at=at(0), finalized_at=None)], OWN, {"si_1": None}),
        ([invoice("uncollectible", line(-2, 363, 9000), created=-2)], OWN, {}),  # what the setting `free` gives
        ([invoice("draft", line(-2, 363, 9000), created=-2)], OWN, {}),
        ([invoice("void", line(-9, -1, 9000), created=-9)], OWN, {}),  # over
        ([invoice("void", line(1, 31, 9000), created=-2)], OWN, {}),  # not yet
        ([invoice("void", line(-2, 27, 0), line(-2, 27, -9, item="si_2"), created=-2)], OWN, {}),
        ([PAID, AWAY], OWN, {"si_1": AS_PAID}),  # the month goes on to its end
        ([SEATS, MORE], OWN, {"si_1": ("price_1", None, 5, PERIOD)}),
        ([AWAY, invoice("paid", line(-1, 364, 9000), created=-1)], OWN, {}),  # paid since
        ([AWAY, invoice("paid", line(-1, 364, 9000), created=-1)], OWN | {"paused_by_customer_until_x": "1"}, {}),
        ([PAID, AWAY, MORE], OWN, {"si_1": AS_PAID}),
        ([invoice("paid", line(-8, -3), created=-8), AWAY], OWN, {"si_1": None}),
        ([invoice("void", line(-2, 363, 1), created=-2)], OWN, {"si_1": None}),
        ([invoice("void", line(0, 30), created=0)], RUNS, {"si_1": None}),  # from this second on
        ([invoice("void", line(-30, 0), created=-2)], OWN, {}),  # to this second
        ([AWAY, BETWEEN, invoice("void", line(-1, 29), created=-1)], RUNS, {"si_1": ("price_1", "pro", 1, LATER)}),
        ([invoice("paid", line(-3, 27, quantity=None)), AWAY], OWN, {"si_1": AS_PAID}),
        ([AWAY], {f"paused_by_customer_until_{int(at(-2).timestamp())}": "1"}, {"si_1": None}),  # to its last second
        ([PAIR, AWAY], OWN, {"si_1": ("price_1", None, 2, PERIOD)}),
    ],
)
def test_what_a_pause_of_the_customers_has_left_unpaid(invoices, metadata, unpaid):
    for each in itertools.permutations(invoices):
        assert judged(*each, meta=metadata).unpaid == unpaid
    returned = {"in_-3": 900}
    assert set(judged(*invoices, meta=metadata, returned=returned).unpaid.values()) <= {
        None,
        ("price_1", None, 5, PERIOD),
    }


DEARER = invoice("paid", line(-2, 27, -9), line(-2, 27, 90, price="price_2", quantity=7), created=-2)


@pytest.mark.parametrize(
    ("invoices", "gone", "returned"),
    [
        ([PAID, DEARER], {}, {}),
        ([PAID, DEARER], {"in_-2": 899}, {}),  # a part of it
        ([PAID, DEARER], {"in_-2": 900}, {"si_1": AS_PAID}),
        ([SEATS, DEARER], {"in_-2": 900}, {"si_1": ("price_1", None, 5, PERIOD)}),
        ([PAID, DEARER], {"in_-3": 900}, {}),  # what came after it is kept
        ([PAID, DEARER], {"in_-3": 900, "in_-2": 900}, {"si_1": None}),
        ([PAID], {"in_-3": 900}, {"si_1": None}),
        ([invoice("paid", line(-9, -3), created=-9)], {"in_-9": 900}, {}),  # it is over
        ([PAID, invoice("paid", line(-2, 27, item="si_2"), created=-2)], {"in_-2": 900}, {"si_2": None}),
    ],
)
def test_what_was_paid_before_a_change_whose_payment_went_back(invoices, gone, returned):
    for each in itertools.permutations(invoices):
        assert judged(*each, returned=gone).returned == returned


VOID = invoice("void", line(-1, 27, 90, price="price_2", quantity=7), created=-1)
BILLED = {"si_1": ("price_2", None, 7, (at(-1), at(27)))}


@pytest.mark.parametrize(
    ("invoices", "metadata", "given"),
    [
        ([PAID], {}, {}),
        ([VOID], {}, BILLED),
        ([PAID, VOID], {}, BILLED),
        ([invoice("uncollectible", line(-1, 27, 90, price="price_2", quantity=7), created=-1)], {}, BILLED),
        ([PAID, VOID], {"paused_by_customer_until_resumed": "1"}, {}),  # that is no gift
        ([VOID, invoice("paid", line(-0.5, 27), created=-0.5)], {}, {}),  # it was paid since
        ([VOID, invoice("open", line(-0.5, 27), created=-0.5)], {}, BILLED),
        ([invoice("void", line(-9, 0), created=-9)], {}, {}),  # it is over
        ([invoice("void", line(-3, 27, 0), created=-3)], {}, {}),  # it cost nothing
    ],
)
def test_what_the_seller_has_let_pass(invoices, metadata, given):
    for each in itertools.permutations(invoices):
        assert judged(*each, meta=metadata).given == given


@pytest.mark.parametrize(
    ("invoices", "pause", "metadata", "held"),
    [
        ([PAID], "void", RUNS, {"si_1": AS_PAID}),
        ([PAID], None, RUNS, {}),  # it is over
        ([PAID], "void", {}, {}),  # a gift of the seller's
        ([PAID], "void", {"paused_by_customer_until_5": "1"}, {}),
        ([PAID], "mark_uncollectible", RUNS, {}),
        ([PAID, AWAY], "void", RUNS, {"si_1": AS_PAID}),
        ([SEATS], "void", RUNS, {"si_1": ("price_1", None, 6, PERIOD)}),  # so many at most
        ([invoice("paid", line(-3, 27, quantity=None))], "void", RUNS, {"si_1": AS_PAID}),
        ([invoice("paid", *(line(-3, 27, n, quantity=None) for n in (8, 9)))], "void", RUNS, {"si_1": AS_PAID}),
        ([PAID, BETWEEN], "void", RUNS, {"si_1": ("price_1", "pro", 1, LATER)}),  # the last one alone
        ([PAID, DEARER], "void", RUNS, {"si_1": ("price_2", None, 7, (at(-2), at(27)))}),
        ([AWAY], "void", RUNS, {}),
    ],
)
def test_what_was_paid_for_while_a_pause_of_the_customers_runs(invoices, pause, metadata, held):
    for each in itertools.permutations(invoices):
        assert judged(*each, meta=metadata, pause_behavior=pause).held == held


@pytest.mark.parametrize(
    ("invoices", "given", "days"),
    [
        ([], {}, None),
        ([PAID], {}, 27),
        ([invoice("open", line(-3, 27))], {}, None),
        ([invoice("draft", line(-3, 27))], {}, None),
        ([invoice("uncollectible", line(-3, 27))], {}, None),
        ([PAID], {"returned": {"in_-3": 900}}, None),
        ([PAID], {"returned": {"in_-3": 901}}, None),
        ([PAID], {"returned": {"in_-3": 899}}, 27),  # a partial refund changes nothing
        ([invoice("paid", line(-3, 27), total=0)], {"returned": {}}, 27),  # paid from the balance, or by a coupon
        ([YEAR, invoice("paid", line(0, 362, -8900), line(0, 30), created=-1, total=-8000)], {}, 30),
        ([invoice("paid", line(-3, 27, 0))], {}, 27),  # a free price
        ([invoice("paid", line(-3, 27, 0))], {"trial_end": at(11)}, None),  # a trial
        ([invoice("paid", line(11, 27, 0), created=0)], {"trial_end": at(-11)}, None),  # not yet
        ([invoice("paid", line(-3, 27, 0, proration=True))], {}, 27),  # the rest of a period of a free price
        ([invoice("paid", line(-3, 27, 0, proration=True))], {"trial_end": at(11)}, None),
        ([PAID, invoice("paid", line(-1, 27, 0, credited=["il_-3_27_900"]), created=-1)], {}, None),
        ([invoice("paid", line(-3, -3))], {}, None),  # no time at all
        ([invoice("paid", line(-3, 27, 1), total=1)], {}, 27),
        ([invoice("paid", line(-3, 27, 1), total=1)], {"returned": {"in_-3": 1}}, None),
        ([invoice("paid", line(-3, 27, 0))], {"trial_end": at(-3)}, 27),  # free, from the trial's end
        # a trial that was ended in the second in which it began
        ([invoice("paid", line(-3, 27, 0))], {"trial_start": at(-3), "trial_end": at(-3)}, None),
        # within one second the number of the invoice tells which came later
        ([invoice("paid", line(-3, 362), number="A-1", total=9000), CHANGED], {}, 27),
        # what a credit names is given back, and nothing else of the item
        ([invoice("paid", line(-3, 27, id="il_a"), line(-3, 27, id="il_b")), NAMED], {}, 27),
    ],
)
def test_until_when_an_item_is_paid(invoices, given, days):
    found = judged(*invoices, **given).paid_until
    assert found == ({} if days is None else {"si_1": at(days)})


def test_when_time_alone_changes_what_is_paid():
    lines = line(-30, 0), line(0, 30), line(-3, 27, item="si_2")
    assert judged(invoice("paid", *lines)).changes_at == at(27)
    assert judged(invoice("paid", line(-30, 0))).changes_at is None


def test_a_full_refund_of_one_invoice_leaves_the_others():
    before, after = invoice("paid", line(-33, -3), created=-33), PAID
    assert judged(before, after, returned={"in_-33": 900}).paid_until == {"si_1": at(27)}


@pytest.mark.parametrize(
    ("invoices", "since"),
    [
        ([PAID], None),
        ([invoice("open")], None),  # a bank debit on its way
        ([invoice("open", attempt_count=1)], -3),
        ([invoice("open", attempt_count=1, first_failed_at=at(-2))], -2),
        ([invoice("open", attempt_count=4, first_failed_at=at(-2))], -2),
        ([invoice("open", attempt_count=1, finalized_at=None)], -3),
        ([invoice("open", attempt_count=1, finalized_at=at(-1), due_date=at(5))], -1),  # a due date of who is charged
        ([invoice("uncollectible")], -3),
        ([invoice("open", collection_method="send_invoice", due_date=at(-1))], -1),
        ([invoice("open", collection_method="send_invoice", due_date=at(-1), first_failed_at=at(-2))], -1),
        (
            [
                invoice("open", collection_method="send_invoice", due_date=at(27), created=-3),
                invoice("open", collection_method="send_invoice", due_date=at(-4), created=-34),
            ],
            -4,
        ),
        (
            [
                invoice("open", attempt_count=1, first_failed_at=at(-1), created=-2),
                invoice("open", attempt_count=2, first_failed_at=at(-30), created=-31),
            ],
            -30,
        ),
    ],
)
def test_since_when_something_is_due(invoices, since):
    assert judged(*invoices).unpaid_since == (None if since is None else at(since))


@pytest.mark.parametrize(
    ("invoices", "given", "ever"),
    [
        ([], {}, True),  # nothing is known: Stripe's status has to do
        ([PAID], {}, True),
        ([invoice("open", attempt_count=1)], {}, False),
        ([invoice("paid", line(-3, 11, 0), total=0), invoice("open", attempt_count=1, created=-1)], {}, False),
        ([PAID, invoice("open", attempt_count=1, created=-1)], {"returned": {"in_-3": 900}}, False),
        ([PAID, invoice("open", attempt_count=1, created=-1)], {}, True),
        ([invoice("paid", line(-3, 27, 1), total=1), invoice("open", attempt_count=1, created=-1)], {}, True),
        ([invoice("open", collection_method="send_invoice", due_date=at(-1))], {}, True),  # who pays by hand has a week
    ],
)
def test_whether_anything_was_ever_paid(invoices, given, ever):
    found = judged(*invoices, **given)
    assert (found.ever_paid, found.known) == (ever, bool(invoices))
