"""The variables of selling: what may be bought, how a plan changes, how long access goes on."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from gateway.settings.deprecated import renamed
from gateway.settings.values import Percents, Rates


class SellingVariables(BaseSettings):
    """How things are sold. Each field's alias is the environment variable, its description the documentation."""

    max_quantity: int = Field(
        1000,
        ge=1,
        le=999_999,
        validation_alias="GATEWAY_MAX_QUANTITY",
        description="The largest quantity that one line of a checkout may ask for.",
    )
    default_currency: str | None = Field(
        None,
        pattern="^[A-Za-z]{3}$",
        validation_alias="GATEWAY_DEFAULT_CURRENCY",
        description="The currency of `pricing` when the client names none; otherwise the one with the most prices.",
    )
    grace_days: int = Field(
        7,
        ge=0,
        le=90,
        validation_alias="GATEWAY_GRACE_DAYS",
        description="Days for which access goes on after the first failed charge of a renewal.",
    )
    renewal_grace_hours: float = Field(
        2.0,
        ge=0,
        le=72,
        validation_alias="GATEWAY_RENEWAL_GRACE_HOURS",
        description="Hours for which a period's credits stay usable while the next invoice is a draft or is being "
        "charged. Stripe keeps a renewal's draft for about an hour.",
    )
    usage_alerts: Percents = Field(
        (80, 100),
        validation_alias="GATEWAY_USAGE_ALERTS",
        description="Percents of a counted feature's limit at which `usage.threshold` is sent, once for each period, "
        "separated by commas; empty for none. `setUsageControls` sets a customer's own.",
    )
    link_customers_by_email: bool = Field(
        True,
        validation_alias=renamed("GATEWAY_LINK_CUSTOMERS_BY_EMAIL"),
        description="Whether a user with a verified e-mail takes over the customer at Stripe that has this e-mail and "
        "belongs to nobody; otherwise every user begins with a new one. Off with an organisation's subject claim.",
    )
    trust_payment_link_references: bool = Field(
        False,
        validation_alias="GATEWAY_TRUST_PAYMENT_LINK_REFERENCES",
        description="Whether the `client_reference_id` of a payment link says whose the purchase is; whoever opens the "
        "link chooses it, so that it otherwise counts only together with the verified e-mail.",
    )
    allow_multiple_subscriptions: bool = Field(
        False,
        validation_alias=renamed("GATEWAY_ALLOW_MULTIPLE_SUBSCRIPTIONS"),
        description="Whether a user may have more than one live subscription to plans of the same group. A product is "
        "of the group that its metadata names (`group`), else of the default one; `addon: true` is of none.",
    )
    allow_repeat_trials: bool = Field(
        False,
        validation_alias=renamed("GATEWAY_ALLOW_REPEAT_TRIALS"),
        description="Whether a user, or a guest with the same e-mail address, who has had a trial may have another.",
    )
    invoice_purchases: bool = Field(
        False,
        validation_alias="GATEWAY_INVOICE_PURCHASES",
        description="Whether each one-off purchase gets an invoice at Stripe, which may charge for it.",
    )
    prorate_cancellations: bool = Field(
        False,
        validation_alias="GATEWAY_PRORATE_CANCELLATIONS",
        description="Whether `cancelSubscription(when: NOW)` credits the unused time to the customer's balance.",
    )
    change_time: Literal["now", "at_period_end", "automatic"] = Field(
        "now",
        validation_alias="GATEWAY_CHANGE_TIME",
        description="When a plan changes where the caller does not say it: at once (`now`), as the period ends "
        "(`at_period_end`), or up at once and down as the period ends (`automatic`).",
    )
    seller_plans_binding: bool = Field(
        False,
        validation_alias="GATEWAY_SELLER_PLANS_BINDING",
        description="Whether what was planned in Stripe's dashboard, portal or API binds the customer "
        "(`PLANNED_BY_SELLER`). Otherwise it can be undone and changed where what is kept is what anybody can buy; a "
        "schedule with the metadata `customer_may_change: false` always binds.",
    )
    pause_access: Literal["paid", "free"] = Field(
        "paid",
        validation_alias="GATEWAY_PAUSE_ACCESS",
        description="What access says while a user has paused a subscription: it ends with what was paid for (`paid`), "
        "or goes on for nothing (`free`).",
    )
    free_without_card: bool = Field(
        False,
        validation_alias="GATEWAY_FREE_WITHOUT_CARD",
        description="Whether trials, free plans and what a code makes free are sold without asking for a card, on the "
        "hosted page and by `startSubscription`. A trial ends in a pause then, unless a card came meanwhile.",
    )
    automatic_tax: bool = Field(
        False,
        validation_alias="GATEWAY_AUTOMATIC_TAX",
        description="Whether Stripe Tax computes the tax of every checkout.",
    )
    tax_id_collection: bool = Field(
        False,
        validation_alias="GATEWAY_TAX_ID_COLLECTION",
        description="Whether a checkout asks business buyers for their tax id.",
    )
    billing_address: Literal["auto", "required"] = Field(
        "auto",
        validation_alias="GATEWAY_BILLING_ADDRESS",
        description="Whether a checkout asks for the billing address only when it is needed (`auto`) or always "
        "(`required`).",
    )
    portal_configuration: str | None = Field(
        None,
        pattern=r"^bpc_\w+$",
        validation_alias="GATEWAY_PORTAL_CONFIGURATION",
        description="The configuration of Stripe's customer portal (`bpc_…`); otherwise the account's default.",
    )
    figures_rates: Rates | None = Field(
        None,
        validation_alias="GATEWAY_FIGURES_RATES",
        description="By which figures of all currencies are put together in one, such as `EUR USD=0.92 GBP=1.17`: the "
        "currency, and what one of each other is worth in it. Without it each currency stands alone.",
    )
