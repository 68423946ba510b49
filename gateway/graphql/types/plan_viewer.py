"""What the signed-in user may do with a plan."""

from datetime import datetime

import strawberry

from gateway.billing.customers.ownership import Owner
from gateway.billing.sentences import sentence_of
from gateway.billing.subscriptions.change_request import ChangeTime
from gateway.billing.subscriptions.changed_items import Target
from gateway.billing.subscriptions.plan_actions import PlanAction, currency_of, offer_of
from gateway.billing.subscriptions.trial_end import trial_after
from gateway.graphql.base.arguments import Locale
from gateway.graphql.base.authorization import private
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import enum_from, resolver
from gateway.graphql.base.scalars import Currency
from gateway.graphql.base.user_errors import ProblemCode

enum_from(PlanAction, name="PlanAction")


@private
class PlanViewer:
    """What the signed-in user may do with a plan."""

    owner: strawberry.Private[Owner]
    action: PlanAction = strawberry.field(description="What the user may do.")
    reason: ProblemCode | None = strawberry.field(
        description="Why it is unavailable, as `createCheckoutSession` or `changeSubscription` would say it."
    )
    trial_days: int | None = strawberry.field(
        description="Days that are free at first for this user; null without a trial, or when the user has had one."
    )
    trial_end: datetime | None = strawberry.field(
        description="When the trial that runs ends after a change to this plan at once; null where the change ends it, "
        "and where none runs."
    )
    currency: Currency | None = strawberry.field(
        description="The currency that the user is bound to by what was bought; null before."
    )
    subscription_id: strawberry.ID | None = strawberry.field(
        description="The subscription that it is about, such as the one to change; null when it is about none."
    )

    @resolver
    def reason_text(self, locale: Locale = "en") -> str | None:
        """The reason as buyers read it, in their language; null when the plan is available."""
        return sentence_of(self.reason, locale) if self.reason else None

    @classmethod
    async def of(cls, info: Info, price_id: str) -> "PlanViewer | None":
        """Make what the caller may do with a plan; None where nobody is signed in."""
        principal, services = info.context.principal, info.context.services
        snapshot = await services.catalog.snapshot()
        price = snapshot.prices.get(price_id)
        if principal.subject is None or price is None:
            return None
        buyer = await info.context.buyer()
        account, settings = buyer.account, services.settings
        several, binding = settings.allow_multiple_subscriptions, settings.seller_plans_binding
        when = ChangeTime[settings.change_time.upper()]
        who = account.customer, account.subscriptions
        found = offer_of(price, *who, snapshot, multiple=several, binding=binding, when=when)
        tries = found.action is PlanAction.SUBSCRIBE and not buyer.had_trial
        currency, target = currency_of(account.customer, account.subscriptions), Target(price=price.id)
        if found.item:
            target |= {"id": found.item.id, "quantity": found.item.quantity}
        moment = services.database.clock.now()
        return cls(
            owner=Owner(external_id=principal.subject),
            action=found.action,
            reason=found.reason,
            trial_days=price.trial_period_days if tries else None,
            trial_end=trial_after(found.state, [target], snapshot, moment) if found.state else None,
            currency=Currency(currency) if currency else None,
            subscription_id=strawberry.ID(found.state.subscription.id) if found.state else None,
        )
