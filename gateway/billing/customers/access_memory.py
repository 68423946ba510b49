"""Which features a user may use, from memory where that is as good as from the database.

Kept of a user are the facts that decide: the subscriptions as they stand, and what Stripe's entitlements give. Each
feature's decision follows from them and the catalogue. They go when

- a topic is heard that is theirs: whatever writes about a customer publishes it in the same transaction, and of this
  process's own writes it is heard before the write is answered;
- the moment comes at which time alone may decide otherwise, on the clock of business rules;
- others need the room (the least recently used first), or any topic may have been missed.

They are answered only while the process knows that it hears (`Notifications.is_current`), so that no answer is older
than 50 ms. What is read while a topic of its own is heard may be older than the topic, and is not kept.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

import sqlalchemy as sa
from cachetools import LRUCache

from gateway.auth.principal import Principal
from gateway.billing.catalog.product_features import Features
from gateway.billing.catalog.service import Catalog
from gateway.billing.customers import account as accounts
from gateway.billing.customers.account import Account, AccountSelection
from gateway.billing.customers.linking import is_named
from gateway.billing.customers.service import Customers
from gateway.billing.subscriptions.entitlements import Grant, Offers, decide, entitlements
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.db.database import Database
from gateway.db.notifications import Notifications
from gateway.observability import metrics

MAX_SHARE: Final = 3  # one user takes at most this part of it
MAX_FEATURES: Final = 100  # of one user: whoever asks for more has the rest decided each time
BYTES, STATE_BYTES, GRANT_BYTES = 1_000, 2_500, 2_500
"""What a user's facts take, each subscription without its metadata, and each decision with its answers (measured)."""

_EVER = datetime.max.replace(tzinfo=UTC)
_HITS, _MISSES = (metrics.CACHE.labels("access", outcome) for outcome in ("hit", "miss"))


@dataclass(eq=False, slots=True, weakref_slot=True)
class Facts:
    """What decides about one user's features.

    Attributes:
        user: the application's own id.
        customer_id: the customer's at Stripe; None where there is none.
        states: the subscriptions that count.
        active: what Stripe's entitlements give.
        since: the moment from which on this holds.
        until: the moment at which time alone may make it another.
        base: about how many bytes of memory all of this takes.
        offers: the catalogue by which `grants` were decided.
        grants: the decisions that were asked for, by the feature.
    """

    user: str
    customer_id: str | None
    states: Sequence[SubscriptionState]
    active: Collection[str]
    since: datetime
    until: datetime
    base: int
    offers: Offers | None = None
    grants: dict[str, Grant] = field(default_factory=dict)

    @classmethod
    def of(cls, user: str, account: Account, since: datetime) -> "Facts":
        """Return what an account says that was read at a moment."""
        states = account.giving
        until = min((each.changes_at for each in states if each.changes_at), default=_EVER)
        texts = (len(name) + len(text) for each in states for name, text in each.subscription.meta.items())
        base = BYTES + STATE_BYTES * len(states) + 2 * sum(texts)
        customer_id = account.customer.id if account.customer else None
        return cls(user, customer_id, states, account.features, since, until, base)

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes."""
        return self.base + GRANT_BYTES * len(self.grants)

    def grant(self, feature: str, offers: Offers) -> Grant:
        """Return the decision on one feature, made once for a catalogue."""
        if offers is not self.offers:
            self.offers, self.grants = offers, {}
        found = self.grants.get(feature)
        if found is None:
            found = decide(feature, self.states, self.active, offers)
            if len(self.grants) < MAX_FEATURES:
                self.grants[feature] = found
        return found


class AccessMemory:
    """Decides which features users may use. One instance for a process.

    Args:
        database: where the facts are.
        catalog: what the products give.
        customers: finds whose a customer is.
        notifications: what is heard of changes.
        grace: how long access goes on after a failed charge.
        max_bytes: what may be kept.
    """

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        customers: Customers,
        notifications: Notifications,
        grace: timedelta,
        *,
        max_bytes: int,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._customers = customers
        self._notifications = notifications
        self._grace = grace
        self._clock = database.clock
        self._by_user: LRUCache[str, Facts] = LRUCache(max_bytes, getsizeof=lambda facts: facts.size)
        self._by_topic: WeakValueDictionary[str, Facts] = WeakValueDictionary()
        self._reading: list[set[str]] = []  # of each reading that has begun, the topics heard since
        notifications.follow(self._forget)

    def recall(self, user: str, feature: str) -> Grant | None:
        """Return the decision on a feature, if that can be done at once.

        Args:
            user: by the application's own id.
            feature: its key.
        """
        facts, snapshot = self._recall(user), self._catalog.current
        if facts is None or snapshot is None:
            return None
        _HITS.inc()
        return self._grant(facts, feature, snapshot.features)

    async def grant(self, user: str, feature: str) -> Grant:
        """Return the decision on a feature; a user that nobody has heard of may use none.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        return (await self.some(user, [feature]))[feature]

    async def some(self, user: str, features: Collection[str]) -> Mapping[str, Grant]:
        """Return the decisions on some features, as `grant` does."""
        offers, facts = await self._offers(), await self._facts(user)
        return {feature: self._grant(facts, feature, offers) for feature in features}

    async def all(self, user: str) -> list[Grant]:
        """Return everything that a user may use now, by name.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        offers, facts = await self._offers(), await self._facts(user)
        return entitlements(facts.states, facts.active, offers)

    async def known(self, user: str) -> list[Grant]:
        """Return the decisions on every feature that the catalogue knows or the user has, by name.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        offers, facts = await self._offers(), await self._facts(user)
        return [self._grant(facts, feature, offers) for feature in sorted({*offers.names, *facts.active})]

    async def of_customer(self, user: str, feature: str) -> tuple[str | None, Grant]:
        """Return the customer of a user at Stripe, if there is one, and the decision on a feature.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        offers, facts = await self._offers(), await self._facts(user)
        return facts.customer_id, self._grant(facts, feature, offers)

    async def metered(self) -> Mapping[str, Collection[str]]:
        """Return the features of which a meter counts the use, by the meter's event name."""
        return (await self._offers()).metered

    async def _offers(self) -> Features:
        return (await self._catalog.snapshot()).features

    async def _facts(self, user: str) -> Facts:
        """Return the facts about a user, read if need be."""
        if user in self._by_user:
            if not self._notifications.is_current():
                await self._notifications.catch_up()
            if facts := self._recall(user):
                _HITS.inc()
                return facts
        _MISSES.inc()
        return await self._read(user)

    def _recall(self, user: str) -> Facts | None:
        if not self._notifications.is_current():
            return None
        facts = self._by_user.get(user)
        return facts if facts and facts.since <= self._clock.now() < facts.until else None

    def _grant(self, facts: Facts, feature: str, offers: Offers) -> Grant:
        known = len(facts.grants) if offers is facts.offers else -1
        grant = facts.grant(feature, offers)
        if len(facts.grants) != known and self._by_user.get(facts.user) is facts:
            self._keep(facts)  # it has grown
        return grant

    async def _read(self, user: str) -> Facts:
        """Read the facts about a user, and keep them if nothing was heard of him meanwhile."""
        with self._listening() as heard:
            since, wanted = self._clock.now(), AccountSelection(user)
            read = partial(_read, wanted=wanted, grace=self._grace)
            account, is_settled = await self._database.read(read)
            if account.customer is None and await self._customers.find(Principal(subject=user)):
                account, is_settled = await self._database.read(read)
            facts = Facts.of(user, account, since)
            topics = {f"user:{user}"} | ({f"customer:{account.customer.id}"} if account.customer else set())
            if self._notifications.healthy and is_settled and heard.isdisjoint(topics | {""}):
                self._by_topic.update(dict.fromkeys(topics, facts))
                self._keep(facts)
        return facts

    def _keep(self, facts: Facts) -> None:
        """Keep what is new or has grown, unless it would push too many others out."""
        self._by_user.pop(facts.user, None)
        if facts.size <= self._by_user.maxsize / MAX_SHARE:
            self._by_user[facts.user] = facts

    @contextmanager
    def _listening(self) -> Iterator[set[str]]:
        heard: set[str] = set()
        self._reading.append(heard)
        try:
            yield heard
        finally:
            self._reading = [each for each in self._reading if each is not heard]

    def _forget(self, topics: Collection[str] | None) -> None:
        """Drop what some topics are about; None is everything."""
        for heard in self._reading:
            heard.update(topics or {""})
        if topics is None:
            self._by_user.clear()
            return
        for topic in topics:
            if facts := self._by_topic.pop(topic, None):
                self._by_user.pop(facts.user, None)


def _read(connection: sa.Connection, wanted: AccountSelection, grace: timedelta) -> tuple[Account, bool]:
    """Return an account, and whether a write that its user's topic tells must come before it is another's or none.

    Whose a customer is may follow from a checkout that names the user, and from what else becomes of that customer.
    """
    account = accounts.read(connection, [wanted], grace)[wanted]
    return account, account.customer is not None or not is_named(connection, wanted.external_id)
