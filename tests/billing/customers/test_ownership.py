"""Whose is it: what each caller may name and see, on a database, without a server."""

import pytest

from gateway.auth.principal import ANONYMOUS, SERVICE, Principal
from gateway.billing.customers.ownership import Owner, Ownership, owner_of_session
from gateway.models.mirrored import CheckoutSession, PaymentMethod
from harness.rows import NOW, customer, invoice, item, price, product, subscription

ADA, BOB = Principal(subject="ada"), Principal(subject="bob")


def session(id: str, **columns) -> CheckoutSession:
    given = {"mode": "payment", "ui_mode": "hosted", "status": "open", "payment_status": "unpaid", "as_of": 0}
    return CheckoutSession(id=id, **{**given, "created": NOW, "expires_at": NOW, **columns})


class Asked:
    """What the caller's customer and Stripe's subscription are, and whether they were asked for."""

    def __init__(self, fill, found=None, arriving=None) -> None:
        self.fill, self.found, self.arriving = fill, found, arriving
        self.principals: list[Principal] = []
        self.subscriptions: list[str] = []

    async def customer(self, principal: Principal):
        self.principals.append(principal)
        return self.found

    async def subscription(self, id: str) -> None:
        self.subscriptions.append(id)
        if self.arriving:
            await self.fill(self.arriving)


@pytest.fixture
async def ownership(database, fill):
    """Ada's things, Bob's, a guest's and nobody's; makes what one caller may see."""
    await fill(customer("cus_ada", "ada"), customer("cus_bob", "bob"), customer("cus_guest"), customer("cus_free"))
    of_item = item("si_ada", "month", "pro")
    of_item.subscription_id = "sub_ada"
    await fill(subscription("sub_ada", customer_id="cus_ada"), subscription("sub_bob", customer_id="cus_bob"), of_item)
    await fill(subscription("sub_guest", customer_id="cus_guest"), item("si_lost", "month", "pro"))
    await fill(invoice("in_ada", customer_id="cus_ada"), invoice("in_nobody", customer_id=None))
    await fill(PaymentMethod(id="pm_ada", as_of=0, type="card", created=NOW, customer_id="cus_ada"))
    await fill(PaymentMethod(id="pm_free", as_of=0, type="card", created=NOW))
    await fill(session("cs_ada", external_id="ada"), session("cs_of_ada", customer_id="cus_ada"))
    await fill(session("cs_guest", guest=True), session("cs_guest_paid", guest=True, customer_id="cus_guest"))
    await fill(session("cs_guest_ada", guest=True, customer_id="cus_ada"), session("cs_back_end"))
    await fill(session("cs_guest_unread", guest=True, customer_id="cus_unread"))
    await fill(product("pm_odd"), price("in_house", "pm_odd"))
    await fill(customer("acct_1/cus_1"), invoice("acct_1/in_1", customer_id="acct_1/cus_1"))

    def of(principal: Principal, **given) -> Ownership:
        asked = Asked(fill, **given)
        made = Ownership(database, principal, asked.customer, asked.subscription)
        made.asked = asked
        return made

    return of


ALL = {"cus_ada", "sub_ada", "si_ada", "in_ada", "pm_ada", "cs_ada", "cs_of_ada", "cs_guest_ada"}
ALL |= {"cus_bob", "sub_bob", "cus_guest", "sub_guest", "si_lost", "in_nobody", "pm_free", "cs_guest", "cs_guest_paid"}
ALL |= {"cs_back_end", "cs_guest_unread", "in_house", "pm_odd", "in_missing", "sub_missing", "prod_any", "anything"}
OF_ANOTHER_ACCOUNT = {"acct_1/cus_1", "acct_1/in_1", "acct_1/sub_missing"}
PUBLIC = {"in_house", "pm_odd", "prod_any", "anything"}
GUESTS = {"cs_guest", "cs_guest_paid", "cs_guest_unread"}
ADAS = {"cus_ada", "sub_ada", "si_ada", "in_ada", "pm_ada", "cs_ada", "cs_of_ada", "cs_guest_ada"}
MAY_NAME = {
    "the back end": (SERVICE, ALL),
    "nobody": (ANONYMOUS, PUBLIC | GUESTS),
    "ada": (ADA, PUBLIC | GUESTS | ADAS),
    "bob": (BOB, PUBLIC | GUESTS | {"cus_bob", "sub_bob"}),
    "a new user": (Principal(subject="eve"), PUBLIC | GUESTS),
}


@pytest.mark.parametrize(("principal", "named"), MAY_NAME.values(), ids=MAY_NAME)
async def test_what_each_caller_may_name(ownership, principal, named):
    assert {each for each in ALL | OF_ANOTHER_ACCOUNT if await ownership(principal).may_name(each)} == named


async def test_a_guests_things_are_seen_once_the_guests_session_is(ownership):
    guest = ownership(ANONYMOUS)
    paid = Owner(customer_id="cus_guest", guest=True)
    assert not await guest.may_see(Owner(customer_id="cus_guest"))
    assert not guest.surely_sees(paid)
    assert await guest.may_see(paid)
    assert await guest.may_see(Owner(customer_id="cus_guest")), "what it has started is seen with it"
    assert guest.surely_sees(paid)
    assert not await guest.may_see(Owner(customer_id="cus_ada", guest=True)), "a user's by now"
    assert guest.asked.principals == []


@pytest.mark.parametrize(
    ("principal", "owner", "sure"),
    [
        (SERVICE, Owner(), True),
        (SERVICE, Owner(customer_id="cus_ada"), True),
        (SERVICE, Owner(customer_id="acct_1/cus_1"), False),
        (ADA, Owner("ada"), True),
        (ADA, Owner("bob"), False),
        (ADA, Owner(), False),
        (ANONYMOUS, Owner(), False),
        (ANONYMOUS, Owner(guest=True), True),
        (ANONYMOUS, Owner(customer_id="cus_1", guest=True), False),
        (ADA, Owner(customer_id="cus_ada"), False),
    ],
)
async def test_what_is_known_without_asking(ownership, principal, owner, sure):
    assert ownership(principal).surely_sees(owner) is sure


async def test_nobodys_is_nobodys(ownership):
    for principal in (ADA, ANONYMOUS):
        assert not await ownership(principal).may_see(Owner())
        assert not await ownership(principal).may_see(Owner("bob"))


async def test_a_customer_that_was_read_anyway_need_not_be_looked_for(ownership):
    ada = ownership(ADA)
    for row in (customer("cus_bob", "bob"), customer("cus_free")):
        ada.recognise(row)
        assert not ada.surely_sees(Owner(customer_id=row.id))
    ada.recognise(customer("cus_ada", "ada"))
    assert ada.surely_sees(Owner(customer_id="cus_ada"))
    nobody = ownership(ANONYMOUS)
    nobody.recognise(customer("cus_free"))
    assert not nobody.surely_sees(Owner(customer_id="cus_free"))


async def test_a_customer_that_is_provably_the_users_is_taken_up(ownership):
    eve = ownership(Principal(subject="eve"), found=customer("cus_free", "eve"))
    assert await eve.may_see(Owner(customer_id="cus_free"))
    assert not await eve.may_see(Owner(customer_id="cus_ada"))
    assert {each.subject for each in eve.asked.principals} == {"eve"}
    ada = ownership(ADA, found=customer("cus_free", "ada"))
    assert not await ada.may_see(Owner(customer_id="cus_free")), "she has one already"
    assert ada.asked.principals == []


async def test_a_subscription_that_was_bought_a_moment_ago_is_asked_for(ownership):
    row = subscription("sub_new", customer_id="cus_ada")
    ada = ownership(ADA, arriving=row)
    assert not await ada.may_name("sub_new")
    assert ada.asked.subscriptions == []
    assert await ada.may_name("sub_new", ask_stripe=True)
    assert ada.asked.subscriptions == ["sub_new"]
    not_asked = [(ANONYMOUS, "sub_missing"), (SERVICE, "sub_missing"), (ADA, "in_missing"), (ADA, "sub_ada")]
    for principal, name in not_asked:
        asks = ownership(principal)
        await asks.may_name(name, ask_stripe=True)
        assert asks.asked.subscriptions == []


async def test_one_that_is_anothers_stays_so(ownership):
    bob = ownership(BOB, arriving=subscription("sub_new", customer_id="cus_ada"))
    assert not await bob.may_name("sub_new", ask_stripe=True)


MINE, BOBS = Owner(customer_id="cus_ada"), Owner(customer_id="cus_bob")
SEEN = {
    "nothing": (ADA, set(), set()),
    "one's own": (ADA, {MINE}, {MINE}),
    "another's": (ADA, {BOBS}, set()),
    "by the user and by the customer": (ADA, {Owner("ada"), MINE}, {Owner("ada"), MINE}),
    "one's own among what is nobody's": (ADA, {Owner(), Owner("eve"), Owner("zoe"), BOBS, MINE}, {MINE}),
    "all, for the back end": (SERVICE, {Owner(), MINE, BOBS}, {Owner(), MINE, BOBS}),
    "nobody's, for nobody": (ANONYMOUS, {Owner(), MINE}, set()),
}


@pytest.mark.parametrize(("principal", "owners", "seen"), SEEN.values(), ids=SEEN)
async def test_of_many_what_is_the_callers_is_seen(ownership, principal, owners, seen):
    assert await ownership(principal).seen(owners) == seen


@pytest.mark.parametrize(
    ("columns", "owner"),
    [
        ({}, Owner()),
        ({"guest": True}, Owner(guest=True)),
        ({"external_id": "ada", "customer_id": "cus_1"}, Owner("ada", "cus_1")),
    ],
)
def test_to_whom_a_checkout_belongs(columns, owner):
    assert owner_of_session(session("cs_1", **columns)) == owner
