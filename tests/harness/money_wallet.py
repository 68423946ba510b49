"""What is left of credits that were paid for: the judge of the money game for what is spent and taken back."""

from collections import defaultdict
from copy import deepcopy
from dataclasses import dataclass, field
from fractions import Fraction

from harness.money_model import RENEWAL_GRACE, Lot


class Wallet:
    """What is left of lots when credits are spent and taken back, in exact fractions.

    What ends first is spent first. Lots from which more was spent than was kept are a debt, which lots with credits
    carry once: what they have carried is spent.

    Args:
        bound: `least` or `most`.
    """

    def __init__(self, bound: str) -> None:
        self.bound = bound
        self.spent: defaultdict[str, Fraction] = defaultdict(Fraction)
        self.carried: defaultdict[tuple[str, str], Fraction] = defaultdict(Fraction)

    def spend(self, amount: int, lots: dict[str, Lot], now: int) -> None:
        """Take an amount that the gateway has given; the last lot is overdrawn by what a bound lacks."""
        left, last = Fraction(amount), None
        for last in self.place_of(lots, now):
            part = min(left, max(Fraction(0), self._left(last, lots)))
            self.spent[last] += part
            left -= part
        if last is not None:
            self.spent[last] += left

    def balance(self, lots: dict[str, Lot], now: int) -> Fraction:
        """Return the balance at a moment, after debts were settled."""
        for (creditor, debtor), amount in list(self.carried.items()):
            back = min(amount, max(Fraction(0), self._left(debtor, lots)))
            self._carry(creditor, debtor, -back)
        for debtor in lots:
            for creditor in self.place_of(lots, now):
                owed = -self._left(debtor, lots)
                self._carry(creditor, debtor, min(max(Fraction(0), owed), max(Fraction(0), self._left(creditor, lots))))
        live = set(self.place_of(lots, now))
        return sum(
            (left if each in live else min(Fraction(0), left) for each in lots for left in [self._left(each, lots)]),
            Fraction(0),
        )

    def _carry(self, creditor: str, debtor: str, amount: Fraction) -> None:
        self.carried[creditor, debtor] += amount
        self.spent[creditor] += amount
        self.spent[debtor] -= amount

    def _left(self, lot: str, lots: dict[str, Lot]) -> Fraction:
        return getattr(lots[lot], self.bound) - self.spent[lot] if lot in lots else Fraction(0)

    @staticmethod
    def place_of(lots: dict[str, Lot], now: int) -> list[str]:
        """Return the lots that have not run out, in the order in which they are spent."""
        live = [each for each, lot in lots.items() if lot.ends is None or now < lot.ends]
        return sorted(live, key=lambda each: (lots[each].ends is None, lots[each].ends or 0, lots[each].paid_at, each))


@dataclass
class Judge:
    """The balance that a ledger may show, with what was spent so far."""

    wallets: tuple[Wallet, Wallet] = field(default_factory=lambda: (Wallet("least"), Wallet("most")))

    def spend(self, amount: int, lots: dict[str, Lot], now: int) -> None:
        """Note what was spent."""
        for wallet in self.wallets:
            wallet.spend(amount, lots, now)

    def balances(self, lots: dict[str, Lot], now: int) -> tuple[Fraction, Fraction]:
        """Return the least and the most that the balance may be: near the end of a lot, with and without it.

        Lots of more credits may leave less: what was spent of one is owed when its payment goes back, and what another
        one kept for it has run out since.
        """
        if self.is_certain(lots, now):
            either = [wallet.balance(lots, now) for wallet in self.wallets]
            return min(either), max(either)
        either = [
            deepcopy(wallet).balance(lots, moment) for wallet in self.wallets for moment in (now, now - RENEWAL_GRACE)
        ]
        for wallet in self.wallets:  # a debt is paid by what has just begun, also if nobody looks again before its end
            wallet.balance(lots, now)
        return min(either), max(either)

    @staticmethod
    def is_certain(lots: dict[str, Lot], now: int) -> bool:
        """Whether no lot is about to run out, or has just done so."""
        return not any(
            lot.ends is not None and lot.ends - 60 <= now <= lot.ends + RENEWAL_GRACE for lot in lots.values()
        )
