"""What Stripe's own objects say a customer has paid for and kept: the judge of the money game.

It reads the offline Stripe's lists alone and knows nothing of the gateway's code. Time is cut at every beginning and
end of a line; of each piece the line that came last counts, unless a credit gives the piece back. Shares are exact
fractions. Where a month's length is not said, the shortest and the longest one give the bounds.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

Json = dict[str, Any]
Order = tuple[int, int]
DAY = 86_400
UNPAID = {"draft", "open", "uncollectible"}
DRAFT_SECONDS, DAYS_UNTIL_DUE = 3600, 10
PERIODS = {"month": (28 * DAY, 31 * DAY), "year": (365 * DAY, 366 * DAY)}
RENEWAL_GRACE = 2 * 3600 + 600
"""For how long credits may stay after their period, and how long Stripe and the gateway take over it at most."""


@dataclass(frozen=True)
class Lot:
    """The credits of one paid line: at least and at most, and when they run out (None: never)."""

    least: Fraction
    most: Fraction
    paid_at: int
    ends: int | None


ALL = 10**15
"""More than any payment."""


@dataclass
class Book:
    """What a customer has paid for.

    Attributes:
        lots: the credits that were paid for and kept, by line.
        kept: the stretches of time that were paid for and kept, by subscription, in Unix seconds.
        given: those that the seller has let pass for nothing.
        billed: those of all that was paid, whether or not it was kept.
        units: how many of a plan were paid for and kept in a stretch, by subscription, with the place of the invoice.
        withheld: the stretches that a pause of the customer's has kept from being billed, with their invoice's place.
        returned: the stretches of a plan whose payment went back in full.
        due: when the oldest invoice that is not paid was due, by subscription.
        slack: by how many credits a ledger that rounds each line may differ.
    """

    lots: dict[str, Lot] = field(default_factory=dict)
    kept: defaultdict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    given: defaultdict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    billed: defaultdict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    units: defaultdict[str, list[tuple[int, int, Order, int]]] = field(default_factory=lambda: defaultdict(list))
    withheld: defaultdict[str, list[tuple[int, int, Order]]] = field(default_factory=lambda: defaultdict(list))
    returned: defaultdict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    due: dict[str, int] = field(default_factory=dict)

    @property
    def slack(self) -> int:
        return 2 * len(self.lots) + 1

    def paid_until(self, subscription: str) -> int:
        """The end of what was paid and kept, or given; 0 for nothing."""
        return max((last for _, last in [*self.kept[subscription], *self.given[subscription]]), default=0)

    def is_paid(self, subscription: str, now: int, margin: int = 120) -> bool:
        """Whether a moment, and what is around it, was paid for and kept."""
        return any(first <= now - margin and now + margin < last for first, last in self.kept[subscription])

    def is_given(self, subscription: str, now: int, margin: int = 120) -> bool:
        """Whether a moment, and what is around it, was given for nothing, and nothing else was paid for it."""
        if any(first <= now < last for first, last in self.billed[subscription]):
            return False
        return any(first <= now - margin and now + margin < last for first, last in self.given[subscription])

    def units_at(self, subscription: str, now: int, margin: int = 120) -> int | None:
        """How many of a plan were paid for at a moment; None where it is near an edge, or nothing was."""
        found = [each for each in self.units[subscription] if each[0] <= now - margin and now + margin < each[1]]
        return sum(each[3] for each in found) if found else None

    def went_back(self, subscription: str, now: int, margin: int = 120) -> bool:
        """Whether what was paid for a plan's moment, and what is around it, went back, and nothing else was paid."""
        if any(first - margin <= now < last + margin for first, last, _, _ in self.units[subscription]):
            return False
        return any(first <= now - margin and now + margin < last for first, last in self.returned[subscription])

    def is_withheld(self, subscription: str, now: int) -> bool:
        """Whether a moment was billed in a pause of the customer's, and no longer ago than what was paid for it."""
        paid = max((each[2] for each in self.units[subscription] if each[0] <= now < each[1]), default=(0, 0))
        return any(first <= now < last and order > paid for first, last, order in self.withheld[subscription])


def book(
    invoices: Iterable[Json],
    packs: Iterable[Json],
    gone: dict[str, int],
    prices: dict[str, Json],
    brings: int = 500,
    *,
    is_gift: Callable[[Json, str], bool],
    is_withheld: Callable[[Json, str], bool],
) -> Book:
    """Return what the invoices and checkouts of one customer say.

    Args:
        invoices: all of the customer's, as Stripe lists them.
        packs: the paid checkouts of one pack without an invoice.
        gone: how much of each payment went back, by the id of the invoice or checkout, in minor units.
        prices: the prices by id, with `credits`, `amount` and `interval` (None: paid once).
        brings: the credits of a pack.
        is_gift: whether a void invoice of a subscription was let pass by the seller.
        is_withheld: whether a pause of the customer's has voided it.
    """
    invoices = list(invoices)
    gone = gone.copy()
    gone.update(
        dict.fromkeys(_paid_by_what_is_gone([each for each in invoices if each["status"] == "paid"], gone), ALL)
    )
    found = Book()
    for pack in packs:
        kept = brings * (1 - Fraction(gone[pack["id"]], pack["amount_total"]))
        found.lots[pack["id"]] = Lot(kept, kept, pack["created"], None)
    items: dict[str, list[tuple[Json, Json]]] = {}
    for invoice in invoices:
        owner = ((invoice["parent"] or {}).get("subscription_details") or {}).get("subscription")
        if invoice["status"] in UNPAID:
            by_hand = DAYS_UNTIL_DUE * DAY if invoice["collection_method"] == "send_invoice" else 0
            due = invoice["due_date"] or invoice["created"] + DRAFT_SECONDS + by_hand
            found.due[owner] = min(found.due.get(owner, due), due)
        if invoice["status"] == "void" and owner:
            _let_pass(found, invoice, owner, is_gift, is_withheld)
        if invoice["status"] != "paid":
            continue
        _read_lines(found, invoice, gone, prices, items)
    for lines in items.values():
        _read_item(found, lines, gone, prices)
    _taken_again(found, [each for lines in items.values() for each in lines], prices)
    return found


def _taken_again(found: Book, lines: list[tuple[Json, Json]], prices: dict[str, Json]) -> None:
    """Let free time bring credits once: a plan excludes itself, so that what is taken again had ended before."""
    free = [(invoice, line) for invoice, line in lines if line["id"] in found.lots and _is_free(line)]
    for invoice, line in free:
        price = prices[line["pricing"]["price_details"]["price"]]
        first, last = line["period"]["start"], line["period"]["end"]
        later = [
            other["period"]["start"]
            for at, other in free
            if prices[other["pricing"]["price_details"]["price"]]["product"] == price["product"]
            and _details(other)["subscription"] != _details(line)["subscription"]
            and (first, place_of(invoice)) < (other["period"]["start"], place_of(at))
        ]
        if later and min(later) < last:
            lot, shortest, longest = found.lots[line["id"]], last - first, last - first
            if _details(line)["proration"]:
                shortest, longest = (max(last - first, each) for each in sorted(PERIODS[price["interval"]]))
            units = price["credits"] * line["quantity"] * (min(later) - first)
            least, most = min(lot.least, Fraction(units, longest)), min(lot.most, Fraction(units, shortest))
            found.lots[line["id"]] = replace(lot, least=least, most=most)


def _is_free(line: Json) -> bool:
    return bool(line["amount"] - sum(each["amount"] for each in line["discount_amounts"] or ()) <= 0)


def _let_pass(
    found: Book,
    invoice: Json,
    owner: str,
    is_gift: Callable[[Json, str], bool],
    is_withheld: Callable[[Json, str], bool],
) -> None:
    stretches = [
        (each["period"]["start"], each["period"]["end"]) for each in invoice["lines"]["data"] if each["amount"] > 0
    ]
    if is_gift(invoice, owner):
        found.given[owner] += stretches
    elif is_withheld(invoice, owner):
        found.withheld[owner] += [(*each, place_of(invoice)) for each in stretches]


def _read_lines(
    found: Book,
    invoice: Json,
    gone: dict[str, int],
    prices: dict[str, Json],
    items: dict[str, list[tuple[Json, Json]]],
) -> None:
    for line in invoice["lines"]["data"]:
        price = prices[line["pricing"]["price_details"]["price"]]
        if "meter" in price:  # what was used; it buys no time
            continue
        if price["interval"] is None:
            _once(found, invoice, line, price, gone)
        elif line["amount"] or not price["amount"]:  # a trial costs nothing and brings nothing
            items.setdefault(_details(line)["subscription_item"], []).append((invoice, line))


def _once(found: Book, invoice: Json, line: Json, price: Json, gone: dict[str, int]) -> None:
    kept = price["credits"] * line["quantity"] * (1 - _share_gone(invoice, gone))
    found.lots[line["id"]] = Lot(kept, kept, invoice["created"], None)


def _paid_by_what_is_gone(invoices: list[Json], gone: dict[str, int]) -> set[str]:
    """Return the invoices that cost nothing because of unused time whose payment went back in full."""
    lost = {each["id"] for each in invoices if 0 < each["total"] <= gone[each["id"]]}
    found: set[str] = set()
    for invoice in sorted(invoices, key=place_of):
        given = [line for line in invoice["lines"]["data"] if is_credit(line)]
        if invoice["total"] <= 0 and given and all(_sources(each, invoice, invoices) <= lost for each in given):
            found.add(invoice["id"])
            lost.add(invoice["id"])
    return found


def _sources(given: Json, later: Json, invoices: list[Json]) -> set[str]:
    first, last = given["period"]["start"], given["period"]["end"]
    its = _details(given).get("subscription_item")
    found = {
        invoice["id"]
        for invoice in invoices
        for line in invoice["lines"]["data"]
        if (
            line["id"] in credited_lines(given)
            if credited_lines(given)
            else place_of(invoice) < place_of(later)
            and not is_credit(line)
            and _details(line).get("subscription_item") == its
            and line["period"]["start"] < last
            and first < line["period"]["end"]
        )
    }
    return found or {"unknown"}


def _share_gone(invoice: Json, gone: dict[str, int]) -> Fraction:
    if gone[invoice["id"]] == ALL:
        return Fraction(1)
    return (
        Fraction(min(gone[invoice["id"]], invoice["total"]), invoice["total"]) if invoice["total"] > 0 else Fraction(0)
    )


def _read_item(found: Book, lines: list[tuple[Json, Json]], gone: dict[str, int], prices: dict[str, Json]) -> None:
    kept: Counter[str] = Counter()
    orders = {line["id"]: place_of(invoice) for invoice, line in lines}
    for first, last, line in _pieces([each for each in lines if _share_gone(each[0], gone) < 1]):
        kept[line["id"]] += last - first
        its = _details(line)["subscription"]
        found.kept[its].append((first, last))
        if prices[line["pricing"]["price_details"]["price"]]["product"] == "plan":
            found.units[its].append((first, last, orders[line["id"]], line["quantity"]))
    for invoice, line in lines:
        price = prices[line["pricing"]["price_details"]["price"]]
        found.billed[_details(line)["subscription"]].append((line["period"]["start"], line["period"]["end"]))
        if not is_credit(line) and price["product"] == "plan" and _share_gone(invoice, gone) == 1:
            found.returned[_details(line)["subscription"]].append((line["period"]["start"], line["period"]["end"]))
        if not is_credit(line) and price["credits"]:
            length = line["period"]["end"] - line["period"]["start"]
            least, most = (
                _credits(price, line, length, kept[line["id"]], max(period, length), _share_gone(invoice, gone))
                for period in (
                    reversed(PERIODS[price["interval"]]) if _details(line)["proration"] else (length, length)
                )
            )
            found.lots[line["id"]] = Lot(least, most, invoice["created"], line["period"]["end"])


def _credits(price: Json, line: Json, length: int, kept: int, period: int, gone: Fraction) -> Fraction:
    units = price["credits"] * line["quantity"]
    period = max(period, 1)
    return max(Fraction(0), units * Fraction(kept, period) - units * Fraction(length, period) * gone)


def _pieces(lines: list[tuple[Json, Json]]) -> Iterable[tuple[int, int, Json]]:
    """Cut the time of an item at every edge; each piece with the line that counts for it."""
    edges = sorted({moment for _, line in lines for moment in (line["period"]["start"], line["period"]["end"])})
    for first, last in pairwise(edges):
        covering = [
            (line["period"]["start"], place_of(invoice), line)
            for invoice, line in lines
            if not is_credit(line)
            and line["period"]["start"] <= first
            and last <= line["period"]["end"]
            and not any(
                _returns(later, given, invoice, line, first, last) for later, given in lines if is_credit(given)
            )
        ]
        if covering:
            yield first, last, max(covering, key=lambda each: each[:2])[2]


def _details(line: Json) -> Json:
    details: Json = line["parent"]["subscription_item_details"] or line["parent"]["invoice_item_details"]
    return details


def item_of(line: Json) -> str | None:
    """The item of a subscription that a line is about."""
    found: str | None = _details(line).get("subscription_item")
    return found


def credited_lines(line: Json) -> list[str]:
    """The lines whose time a line names as given back."""
    credited = (_details(line).get("proration_details") or {}).get("credited_items") or {}
    found: list[str] = credited.get("invoice_line_items") or []
    return found


def is_credit(line: Json) -> bool:
    """Whether a line gives unused time back."""
    return bool(line["amount"] < 0 or credited_lines(line) or line["description"].startswith("Unused time"))


def place_of(invoice: Json) -> Order:
    """The place of an invoice. Times may be equal; a customer's invoices are numbered one after the other."""
    return invoice["created"], int(invoice["number"].rpartition("-")[2])


def _returns(later: Json, given: Json, invoice: Json, line: Json, first: int, last: int) -> bool:
    within = given["period"]["start"] <= first and last <= given["period"]["end"]
    if credited_lines(given):
        return within and line["id"] in credited_lines(given)
    same = given["pricing"]["price_details"]["price"] == line["pricing"]["price_details"]["price"]
    return within and same and place_of(invoice) < place_of(later)
