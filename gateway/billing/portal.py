"""Stripe's customer portal: where users change how they pay, cancel, or change plans by themselves."""

from dataclasses import dataclass
from enum import Enum
from typing import Any
from uuid import uuid4

from sqlmodel import col

from gateway.auth.principal import Principal
from gateway.billing.customers.service import Customers
from gateway.billing.languages import PORTAL_LANGUAGES, stripe_language
from gateway.billing.redirects import redirect_problem
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.db.database import Database
from gateway.db.rows import all_rows
from gateway.errors import Forbidden, NotFound, StripeMissing, StripeRefused
from gateway.models.mirrored import Subscription
from gateway.models.statuses import OCCUPYING
from gateway.settings import Settings
from gateway.stripe_api.client import Stripe

PATH = "/v1/billing_portal/sessions"


class PortalFlow(Enum):
    """What the portal opens with; each value says what it means."""

    OVERVIEW = "Everything that the portal's configuration offers."
    PAYMENT_METHOD_UPDATE = "Only to change the payment method."
    SUBSCRIPTION_CANCEL = "Only to cancel a subscription."
    SUBSCRIPTION_UPDATE = "Only to change a subscription's plan."


@dataclass(frozen=True, slots=True)
class PortalRequest:
    """What a client asks for, in the words of `CreatePortalSessionInput`."""

    return_url: str
    flow: PortalFlow = PortalFlow.OVERVIEW
    subscription_id: str | None = None
    locale: str | None = None
    external_id: str | None = None


class Portal:
    """Opens the portal.

    Args:
        settings: the redirect origins and the portal's configuration.
        database: the mirror.
        stripe: opens the sessions.
        customers: finds the customers of users; none is made here.
    """

    def __init__(self, settings: Settings, database: Database, stripe: Stripe, customers: Customers) -> None:
        self._settings = settings
        self._database = database
        self._stripe = stripe
        self._customers = customers

    async def open(self, principal: Principal, request: PortalRequest) -> str:
        """Open the portal for the caller's own customer; return its URL.

        Args:
            principal: the caller.
            request: what it opens with, and where it leads back to.

        Raises:
            Rejected: the request must be fixed, or there is nothing to manage yet.
            Forbidden: a service token that names no user, or a user that names another.
            NotFound: the subscription does not exist or is another's.
            StripeUnavailable: Stripe cannot be reached.
        """
        user = principal.acting_as(request.external_id)
        if user.subject is None:
            raise Forbidden("a service token says with `externalId` for whom the portal is")
        if why := redirect_problem(request.return_url, self._settings.redirect_origins):
            raise _rejected(ProblemCode.REDIRECT_NOT_ALLOWED, f"`returnUrl` is refused: {why}", "returnUrl")
        customer = await self._customers.find(user)
        if customer is None:
            raise _rejected(ProblemCode.NO_CUSTOMER, "there is nothing to manage yet: a first checkout comes before it")
        await self._customers.tell_stripe(user, customer)
        await self._customers.withhold_cards(customer, for_good=True)
        return await self._open(customer.id, request, await self._flow(customer.id, request))

    async def _open(self, customer_id: str, request: PortalRequest, flow: dict[str, Any]) -> str:
        parameters = {
            "customer": customer_id,
            "return_url": request.return_url,
            "locale": stripe_language(request.locale, PORTAL_LANGUAGES),
            "configuration": self._settings.portal_configuration,
            "flow_data": flow,
        }
        given = {name: value for name, value in parameters.items() if value}
        try:
            answer = await self._stripe.post(PATH, idempotency_key=f"portal-{uuid4().hex}", **given)
        except (StripeMissing, StripeRefused) as error:
            if await self._customers.is_deleted_at_stripe(customer_id):
                # A new customer would be an empty portal, without a word about where everything has gone.
                message = "Stripe no longer has this customer; a checkout makes another"
                raise _rejected(ProblemCode.NO_CUSTOMER, message) from error
            raise _rejected(ProblemCode.STRIPE_REFUSED, str(error), error.param) from error
        return str(answer.object["url"])

    async def _flow(self, customer_id: str, request: PortalRequest) -> dict[str, Any]:
        """Return Stripe's `flow_data`; empty for the overview. A flow that is done leads back to the application."""
        kind = request.flow.name.lower()
        back = {"type": "redirect", "redirect": {"return_url": request.return_url}}
        if request.flow in {PortalFlow.OVERVIEW, PortalFlow.PAYMENT_METHOD_UPDATE}:
            if request.subscription_id is not None:
                raise _subscription_needed("this flow is about no subscription: leave `subscriptionId` out")
            return {} if request.flow is PortalFlow.OVERVIEW else {"type": kind, "after_completion": back}
        found = await self._subscription(customer_id, request.subscription_id)
        return {"type": kind, kind: {"subscription": found}, "after_completion": back}

    async def _subscription(self, customer_id: str, id: str | None) -> str:
        """Return the subscription that is meant: the one that is named, or the only live one.

        Raises:
            Rejected: it has ended, or there is none, or there are several and none is named.
            NotFound: it is not the customer's.
        """
        meant = [col(Subscription.customer_id) == customer_id]
        if id is not None:
            meant.append(col(Subscription.id) == id)
        found = await self._database.read(lambda connection: all_rows(connection, Subscription, *meant))
        if id is not None and not found:
            raise NotFound("there is no such object")
        live = [subscription.id for subscription in found if subscription.status in OCCUPYING]
        if len(live) == 1:
            return live[0]
        raise _subscription_needed(
            "there are several subscriptions: name one in `subscriptionId`"
            if live
            else "there is no subscription that could be changed"
        )


def _subscription_needed(message: str) -> Rejected:
    return _rejected(ProblemCode.SUBSCRIPTION_NEEDED, message, "subscriptionId")


def _rejected(code: ProblemCode, message: str, field: str | None = None) -> Rejected:
    return Rejected(Problem(code, message, field))
