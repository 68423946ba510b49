"""What a back end asks, with its types.

Written by `python -m gateway.web.generate` from documents.graphql and schema.graphql: do not edit.
"""
# ruff: noqa: E501
# fmt: off

from typing import Literal, NotRequired, TypedDict

from gateway.client.operations import Mutation, Query

SubscriptionStatus = Literal["INCOMPLETE", "INCOMPLETE_EXPIRED", "TRIALING", "ACTIVE", "PAST_DUE", "PAUSED", "UNPAID", "CANCELED"]
"""The status of a subscription at Stripe."""


BillingInterval = Literal["DAY", "WEEK", "MONTH", "YEAR"]
"""The unit of a billing period."""


class SubscriptionPlanProduct(TypedDict):
    """Something that is sold."""

    id: str
    """Stripe's id, such as prod_…."""
    name: str
    """The name that buyers see; in their language by metadata such as `name_de`."""


class SubscriptionPlan(TypedDict):
    """A recurring price in Stripe's plan vocabulary; its id is the price's id."""

    id: str
    """Stripe's id, the same as the price's."""
    interval: BillingInterval
    """The unit of the billing period."""
    intervalCount: int
    """The number of these units in a billing period."""
    product: SubscriptionPlanProduct
    """The product."""


AccessReason = Literal["ACTIVE", "TRIALING", "GRACE_PERIOD", "PAST_DUE", "UNPAID", "INCOMPLETE", "PAUSED", "PAID_BACK", "PURCHASED", "CANCELED", "LIMIT_REACHED", "NOT_INCLUDED", "NO_SUBSCRIPTION"]
"""Why access is given or refused; each value says what it means."""


class SubscriptionAccess(TypedDict):
    """Whether there is access, why, and until when."""

    allowed: bool
    """Whether there is access."""
    reason: AccessReason
    """Why access is given or refused."""
    until: str | None
    """When access ends or is renewed; null without access."""


class Subscription(TypedDict):
    """A subscription to one or more plans."""

    id: str
    """Stripe's id, such as sub_…."""
    status: SubscriptionStatus
    """Its status."""
    quantity: int | None
    """The quantity of its first item."""
    currentPeriodEnd: str | None
    """When its present billing period ends."""
    trialEnd: str | None
    """When its trial ends or ended, if it had one."""
    willCancel: bool
    """Whether a cancellation is planned."""
    cancelAt: str | None
    """When it will end, if a cancellation is planned."""
    plan: SubscriptionPlan | None
    """The plan of its first item."""
    access: SubscriptionAccess
    """The access that it gives now."""


class CustomerAnswerEntitlements(TypedDict):
    """A feature that the customer may use now."""

    feature: str
    """Its key."""
    limit: int | None
    """The limit; null when there is none."""
    until: str | None
    """When it ends or is renewed, if that is known."""


class CustomerAnswerCredits(TypedDict):
    """The credits of a customer, of one kind."""

    balance: int
    """The balance; below zero when a refund has taken back more than was left."""


class CustomerAnswer(TypedDict):
    """A user or organisation of the application that pays, or has begun to."""

    subscription: Subscription | None
    """The subscription that counts: with access before without, then the bigger plan; null without any."""
    entitlements: list[CustomerAnswerEntitlements]
    """The features that may be used now, by name."""
    credits: CustomerAnswerCredits
    """The credits that were bought, and where they went."""


class CustomerVariables(TypedDict):
    """What Customer needs to know."""

    externalId: str


class CustomerRow(TypedDict):
    """A customer at Stripe, also one that is no user's."""

    id: str
    """Stripe's id, such as cus_…."""
    externalId: str | None
    """The id by which the application knows the customer; null where it is no user's."""
    email: str | None
    """The e-mail address to which Stripe writes."""
    name: str | None
    """The name on the invoices."""
    currency: str | None
    """The currency in which the customer is billed."""
    delinquent: bool
    """Whether the latest charge of an invoice has failed."""
    createdAt: str
    """When the customer was created at Stripe."""


class CustomersAnswerPageInfo(TypedDict):
    """The place of a page in its list."""

    hasNextPage: bool
    """Whether more items follow."""
    endCursor: str | None
    """The cursor of the last item: the next page's `after`."""


class CustomersAnswer(TypedDict):
    """A page of a list."""

    nodes: list[CustomerRow]
    """The items alone."""
    pageInfo: CustomersAnswerPageInfo
    """Whether more pages follow, and from where."""


class CustomersFilter(TypedDict):
    """Which customers are listed; what is left out is not looked at."""

    email: NotRequired[str | None]
    """With this e-mail address, in any case."""
    subscriptionStatus: NotRequired[SubscriptionStatus | None]
    """With a subscription of this status."""
    linked: NotRequired[bool | None]
    """Those that are a user's, or those that are none's."""
    delinquent: NotRequired[bool | None]
    """Those of whom the latest charge of an invoice has failed, or the others."""


class CustomersVariables(TypedDict):
    """What Customers needs to know."""

    first: NotRequired[int]
    after: NotRequired[str | None]
    filter: NotRequired[CustomersFilter | None]


UserErrorCode = Literal["LINE_ITEMS_INVALID", "PRICE_NOT_FOUND", "PRICE_NOT_ON_SALE", "DUPLICATE_PRICE", "QUANTITY_INVALID", "CURRENCY_NOT_OFFERED", "INTERVALS_MIXED", "URL_REQUIRED", "URL_UNUSED", "REDIRECT_NOT_ALLOWED", "EMAIL_INVALID", "METADATA_INVALID", "PROMOTION_CODE_INVALID", "IDEMPOTENCY_KEY_INVALID", "IDEMPOTENCY_KEY_REUSED", "PRICE_NOT_RECURRING", "SUBSCRIPTION_ENDED", "SUBSCRIPTION_ENDING", "PAUSE_UNAVAILABLE", "SUBSCRIPTION_PAUSED", "CHECKOUT_NEEDED", "CHANGE_PENDING", "PLANNED_BY_SELLER", "OFFER_UNAVAILABLE", "PREVIEW_EXPIRED", "INVOICE_UNPAID", "SUBSCRIPTION_ITEM_NEEDED", "PAYMENT_FAILED", "PAYMENT_METHOD_NEEDED", "COMMENT_TOO_LONG", "ALREADY_SUBSCRIBED", "EARLIER_SESSION_PAID", "CUSTOMER_AMBIGUOUS", "NO_CUSTOMER", "SUBSCRIPTION_NEEDED", "AMOUNT_INVALID", "METER_NOT_FOUND", "USAGE_NOT_FOUND", "TIMESTAMP_INVALID", "INSUFFICIENT_CREDITS", "FEATURE_NOT_ALLOWED", "FEATURE_NOT_COUNTED", "LIMIT_REACHED", "SPEND_CAP_REACHED", "HOLD_NOT_FOUND", "HOLD_ENDED", "DURATION_INVALID", "CREDIT_KIND_INVALID", "TEXT_TOO_LONG", "INVOICE_NOT_REFUNDABLE", "CUSTOMER_UNAVAILABLE", "SESSION_NOT_OPEN", "STRIPE_REFUSED"]
"""Codes that clients may switch on; each value says what it means."""


class Problem(TypedDict):
    """A problem that the caller can fix."""

    code: UserErrorCode
    """The code, for programs."""
    message: str
    """What is wrong and how it is fixed, in English, for developers."""
    field: str | None
    """Where in the input, such as lineItems.0.price.id; null when it is the whole."""


class UpdateCustomerPayload(TypedDict):
    """The customer as it is at Stripe now."""

    customer: CustomerRow | None
    """The customer; null when there are errors."""
    userErrors: list[Problem]
    """What the caller must fix; empty on success."""


class UpdateCustomerInput(TypedDict):
    """The user, and what the customer is called and written to from now on."""

    externalId: str
    """The id by which the application knows the customer. Who is none yet becomes one."""
    email: NotRequired[str | None]
    """The e-mail address; left out, it stays."""
    name: NotRequired[str | None]
    """The name on the invoices, up to 256 characters; empty for none; left out, it stays."""
    idempotencyKey: str
    """1 to 255 characters. The same key with the same input does it once and gives the same answer."""
    actor: NotRequired[str | None]
    """Who wants it, for the audit log, such as an agent of the application's support; up to 200 characters."""


CheckoutSessionStatus = Literal["OPEN", "COMPLETE", "EXPIRED"]
"""The status of a checkout."""


class CreateCheckoutSessionPayloadSession(TypedDict):
    """A checkout on Stripe's page. Whoever knows a guest's session may read its state, never the buyer's identity."""

    id: str
    """Stripe's id, such as cs_…."""
    url: str | None
    """Where the buyer pays; null for the embedded form, and once closed."""
    clientSecret: str | None
    """For the embedded form: given when the session is created, and to its signed-in owner."""
    status: CheckoutSessionStatus
    """Its status."""
    expiresAt: str
    """When it closes by itself."""


class CreateCheckoutSessionPayload(TypedDict):
    """The session, or what the caller must fix."""

    session: CreateCheckoutSessionPayloadSession | None
    """The open session; null when there are errors, but with EARLIER_SESSION_PAID the paid one."""
    userErrors: list[Problem]
    """What the caller must fix; empty on success."""


class PriceInput(TypedDict):
    """A price, by exactly one of its names."""

    id: NotRequired[str | None]
    """Its id, or the plan's."""
    lookupKey: NotRequired[str | None]
    """Its lookup key."""


class AdjustableQuantityInput(TypedDict):
    """The bounds within which a buyer may change a quantity."""

    minimum: NotRequired[int]
    """The smallest quantity, 0 or more."""
    maximum: int
    """The largest quantity."""


class CheckoutLineItemInput(TypedDict):
    """A price to buy, named once. There is no way to send an amount."""

    price: NotRequired[PriceInput | None]
    """The price."""
    priceId: NotRequired[str | None]
    """Its id. Deprecated: Until 2027-12-01: `price` takes exactly one of `id` and `lookupKey`."""
    lookupKey: NotRequired[str | None]
    """Its lookup key. Deprecated: Until 2027-12-01: `price` takes exactly one of `id` and `lookupKey`."""
    quantity: NotRequired[int]
    """The quantity; leave it out for a metered price."""
    adjustableQuantity: NotRequired[AdjustableQuantityInput | None]
    """Lets the buyer change the quantity on Stripe's page, such as the seats of a team."""


CheckoutUiMode = Literal["HOSTED", "EMBEDDED"]
"""Where the buyer pays."""


class MetadataEntryInput(TypedDict):
    """A key and a value to keep with an object."""

    key: str
    """Up to 40 characters without square brackets; `gateway_…` is reserved."""
    value: str
    """Up to 500 characters."""


class CreateCheckoutSessionInput(TypedDict):
    """What to buy, and where to go afterwards."""

    lineItems: list[CheckoutLineItemInput]
    """1 to 20 lines. Any recurring price makes it a subscription."""
    setup: NotRequired[bool]
    """Buy nothing, only save a payment method; the lines are empty then. For signed-in users."""
    externalId: NotRequired[str | None]
    """The user that it is for, when the application's own back end asks; nobody else may."""
    successUrl: NotRequired[str | None]
    """HOSTED: where the buyer goes after paying. `{CHECKOUT_SESSION_ID}` in it is filled in by Stripe."""
    cancelUrl: NotRequired[str | None]
    """HOSTED: where the buyer goes to cancel."""
    returnUrl: NotRequired[str | None]
    """EMBEDDED: where the buyer goes afterwards. `{CHECKOUT_SESSION_ID}` in it is filled in by Stripe."""
    uiMode: NotRequired[CheckoutUiMode]
    """Where the buyer pays."""
    currency: NotRequired[str | None]
    """The currency to pay in, which every price must offer; else the prices' own."""
    locale: NotRequired[str | None]
    """The language of Stripe's page, such as de or pt-BR; else the browser's."""
    promotionCode: NotRequired[str | None]
    """A promotion code that is already known, as buyers write it; no `coupon` then."""
    coupon: NotRequired[str | None]
    """A coupon that the application's own back end grants; nobody else may."""
    allowPromotionCodes: NotRequired[bool]
    """Whether the buyer may enter a promotion code; not where `promotionCode` or `coupon` is given."""
    customerEmail: NotRequired[str | None]
    """Fills in the e-mail field of a guest; a signed-in user's own address goes first."""
    idempotencyKey: NotRequired[str | None]
    """The same key with the same input gives the same session, so that a retry buys once; a signed-in user's same request gives the same open session also without one. A guest's must be hard to guess: at least 16 characters, such as a UUID."""
    metadata: NotRequired[list[MetadataEntryInput] | None]
    """Up to 50 entries to keep at Stripe with the session and with the subscription or payment that it makes."""


class CreatePortalSessionPayload(TypedDict):
    """Where the portal is, or what the caller must fix."""

    url: str | None
    """Stripe's page for this user, for a few minutes; null when there are errors."""
    userErrors: list[Problem]
    """What the caller must fix; empty on success."""


PortalFlow = Literal["OVERVIEW", "PAYMENT_METHOD_UPDATE", "SUBSCRIPTION_CANCEL", "SUBSCRIPTION_UPDATE"]
"""What the portal opens with; each value says what it means."""


class CreatePortalSessionInput(TypedDict):
    """What the portal opens with, and where it leads back to."""

    returnUrl: str
    """Where the link back leads, and a completed flow."""
    flow: NotRequired[PortalFlow]
    """What it opens with."""
    subscriptionId: NotRequired[str | None]
    """For SUBSCRIPTION_… flows: which one; may be left out when there is only one."""
    locale: NotRequired[str | None]
    """The portal's language; else the browser's."""
    externalId: NotRequired[str | None]
    """The user that it is for, when the application's own back end asks; nobody else may."""


class Count(TypedDict):
    """How a counted feature of a customer stands."""

    limit: int | None
    """How much may be used in the period; null without a limit."""
    used: int | None
    """How much was used in the period; null where credits pay."""
    held: int
    """How much is held for work under way."""
    remaining: int | None
    """What is left beside both; null without a limit."""
    resetsAt: str | None
    """When the period ends; null where credits pay."""
    overage: bool
    """Whether more than the limit may be used."""


class ConsumePayload(TypedDict):
    """How the feature stands, or what the caller must fix."""

    count: Count | None
    """How the feature stands now; null where the customer does not have it any more."""
    identifier: str | None
    """Under which `adjustUsage` corrects it; null when there are errors, or credits pay."""
    userErrors: list[Problem]
    """What the caller must fix; empty on success."""


class ConsumeInput(TypedDict):
    """What is used, and by whom."""

    externalId: str
    """The id by which the application knows the customer."""
    feature: str
    """The feature's key. A product that the customer has says what counts it (`use_…` in its metadata)."""
    amount: NotRequired[int]
    """How much, at least 1. All of it or nothing."""
    idempotencyKey: str
    """1 to 255 characters. The same key with the same input counts once, however often it is sent."""


HoldStatus = Literal["OPEN", "COMMITTED", "RELEASED", "LAPSED"]
"""What became of a hold."""


class KeptHold(TypedDict):
    """An amount of a feature that is kept for work under way."""

    id: str
    """The gateway's id, such as hold_…."""
    feature: str
    """The feature's key."""
    amount: int
    """How much is kept."""
    actual: int | None
    """What the work came to; null until it is committed."""
    status: HoldStatus
    """What became of it."""
    expiresAt: str
    """When it lapses, unless it is committed or released before."""


class HoldPayload(TypedDict):
    """The hold, or what the caller must fix."""

    hold: KeptHold | None
    """The hold; null when there are errors."""
    count: Count | None
    """How the feature stands now; null where the customer does not have it any more."""
    userErrors: list[Problem]
    """What the caller must fix; empty on success."""


class HoldInput(TypedDict):
    """What is to be kept, and for whom."""

    externalId: str
    """The id by which the application knows the customer."""
    feature: str
    """The feature's key. A product that the customer has says what counts it (`use_…` in its metadata)."""
    amount: int
    """How much the work comes to at most, at least 1."""
    seconds: NotRequired[int]
    """How long it is kept, 1 second to a day: longer than the work takes at most."""
    idempotencyKey: str
    """1 to 255 characters. The same key with the same input counts once, however often it is sent."""


class CommitHoldPayload(TypedDict):
    """The hold, or what the caller must fix."""

    hold: KeptHold | None
    """The hold; null when there are errors."""
    count: Count | None
    """How the feature stands now; null where the customer does not have it any more."""
    userErrors: list[Problem]
    """What the caller must fix; empty on success."""


class CommitHoldInput(TypedDict):
    """The hold, and what the work came to."""

    holdId: str
    """The hold's id."""
    actual: int
    """What the work came to. More than is held is counted as far as so much is left."""


class ReleaseHoldPayload(TypedDict):
    """The hold, or what the caller must fix."""

    hold: KeptHold | None
    """The hold; null when there are errors."""
    count: Count | None
    """How the feature stands now; null where the customer does not have it any more."""
    userErrors: list[Problem]
    """What the caller must fix; empty on success."""


class ReleaseHoldInput(TypedDict):
    """The hold."""

    holdId: str
    """The hold's id."""


class ReportUsagePayload(TypedDict):
    """The recorded usage, or what the caller must fix."""

    identifiers: list[str]
    """The identifiers of all, in their order; empty when there are errors."""
    userErrors: list[Problem]
    """What the caller must fix; empty on success."""


class UsageRecordInput(TypedDict):
    """Some usage of a user."""

    externalId: str
    """The id by which the application knows the customer."""
    eventName: str
    """The meter's event name, such as api_calls."""
    value: NotRequired[int]
    """The amount, 0 or more."""
    identifier: str
    """1 to 100 characters. The same one counts once, however often it is sent."""
    timestamp: NotRequired[str | None]
    """When: at most 35 days ago and 5 minutes ahead; now if left out."""
    properties: NotRequired[list[MetadataEntryInput] | None]
    """Up to 10, such as the model that was used, by which `usage(properties:)` and a meter at Stripe can be read."""


class ReportUsageInput(TypedDict):
    """The usage to report."""

    records: NotRequired[list[UsageRecordInput] | None]
    """1 to 1,000, of whomever: all are recorded or none."""
    externalId: NotRequired[str | None]
    """The id by which the application knows the customer. Deprecated: Until 2027-12-01: `records` takes one as well."""
    eventName: NotRequired[str | None]
    """The meter's event name, such as api_calls. Deprecated: Until 2027-12-01: `records` takes one as well."""
    value: NotRequired[int]
    """The amount, 0 or more. Deprecated: Until 2027-12-01: `records` takes one as well."""
    identifier: NotRequired[str | None]
    """1 to 100 characters. The same one counts once, however often it is sent. Deprecated: Until 2027-12-01: `records` takes one as well."""
    timestamp: NotRequired[str | None]
    """When: at most 35 days ago and 5 minutes ahead; now if left out. Deprecated: Until 2027-12-01: `records` takes one as well."""
    properties: NotRequired[list[MetadataEntryInput] | None]
    """Up to 10, such as the model that was used, by which `usage(properties:)` and a meter at Stripe can be read. Deprecated: Until 2027-12-01: `records` takes one as well."""


class AdjustUsagePayload(TypedDict):
    """The usage in its place, or what the caller must fix."""

    identifier: str | None
    """That of the usage in its place; null when there is none."""
    userErrors: list[Problem]
    """What the caller must fix; empty on success."""


class AdjustUsageInput(TypedDict):
    """The usage to correct."""

    identifier: str
    """That of `reportUsage`, the one that `consume` has answered, or the id of a committed hold."""
    value: NotRequired[int | None]
    """What it should have been; left out where it should not be there."""


class SetUsageControlsPayloadControlsSpendCap(TypedDict):
    """An amount of one currency."""

    amount: int
    """The amount in minor units; 1250 US cents are 12.50 dollars."""
    currency: str
    """The currency."""
    formatted: str
    """The amount as people of a locale write it, such as $12.50 or 12,50 €."""


class SetUsageControlsPayloadControls(TypedDict):
    """What bounds a customer's use beside the plan."""

    alertThresholds: list[int] | None
    """Percents of a limit at which the application is told; null for those of the settings."""
    spendCap: SetUsageControlsPayloadControlsSpendCap | None
    """The most that what meters count may cost in a period; null without a cap."""


class SetUsageControlsPayload(TypedDict):
    """The controls, or what the caller must fix."""

    controls: SetUsageControlsPayloadControls | None
    """Null when there are errors."""
    userErrors: list[Problem]
    """What the caller must fix; empty on success."""


class SetUsageControlsInput(TypedDict):
    """What bounds a customer's use beside the plan. What is left out is as without controls."""

    externalId: str
    """The id by which the application knows the customer."""
    alertThresholds: NotRequired[list[int] | None]
    """Percents of a limit at which `usage.threshold` is sent, 1 to 1000, at most 10; empty for none. Left out, those of the settings."""
    spendCap: NotRequired[int | None]
    """The most that what meters count may cost in a period. Left out, there is no cap."""
    currency: NotRequired[str | None]
    """The cap's, in which the customer is billed; needed with a cap."""
    idempotencyKey: str
    """1 to 255 characters. The same key with the same input does it once and gives the same answer."""
    actor: NotRequired[str | None]
    """Who wants it, for the audit log, such as an agent of the application's support; up to 200 characters."""


CreditEntryKind = Literal["GRANT", "REVOKE", "RESTORE", "SPEND", "EXPIRE"]
"""Why the balance changed."""


class Entry(TypedDict):
    """One line of the ledger, which is never changed."""

    id: str
    """Its number."""
    kind: CreditEntryKind
    """Why the balance changed."""
    amount: int
    """How many credits came; below zero when they went."""
    balance: int
    """The balance after it."""
    reason: str | None
    """What they were spent or given for, in the application's words."""
    createdAt: str
    """When it was written."""


class GrantCreditsPayload(TypedDict):
    """The entry in the ledger, or what the caller must fix."""

    entry: Entry | None
    """The grant; null when there are errors."""
    userErrors: list[Problem]
    """What the caller must fix; empty on success."""


class GrantCreditsInput(TypedDict):
    """The credits to give, and to whom."""

    externalId: str
    """The id by which the application knows the customer. Who is none yet becomes one."""
    amount: int
    """The number of credits, 1 to 10^12."""
    kind: NotRequired[str | None]
    """Of which kind: `ai` of `credits_ai` in a product's metadata. Left out, the credits without a name."""
    reason: str
    """Why, for people, up to 500 characters."""
    expiresAt: NotRequired[str | None]
    """When those that are left run out; left out, never."""
    idempotencyKey: str
    """1 to 255 characters. The same key with the same input does it once and gives the same answer."""
    actor: NotRequired[str | None]
    """Who wants it, for the audit log, such as an agent of the application's support; up to 200 characters."""


class SpendCreditsPayload(TypedDict):
    """The entry in the ledger, or what the caller must fix."""

    entry: Entry | None
    """The spend; null when there are errors."""
    userErrors: list[Problem]
    """What the caller must fix; empty on success."""


class SpendCreditsInput(TypedDict):
    """The credits to spend, and whose."""

    externalId: str
    """The id by which the application knows the customer."""
    amount: int
    """The number of credits, at least 1. All of them are spent or none."""
    kind: NotRequired[str | None]
    """Of which kind: `ai` of `credits_ai` in a product's metadata. Left out, the credits without a name."""
    idempotencyKey: str
    """1 to 255 characters. The same key with the same spend spends once and gives the same answer."""
    reason: NotRequired[str | None]
    """A text for people, up to 500 characters."""
    metadata: NotRequired[list[MetadataEntryInput] | None]
    """Up to 50 entries for programs, stored with the spend."""


CUSTOMER: Query[CustomerVariables, CustomerAnswer | None] = Query("query Customer($externalId:ID!){customer(externalId:$externalId){subscription{...Subscription}entitlements{feature limit until}credits{balance}}}fragment Subscription on BillingSubscription{id status quantity currentPeriodEnd trialEnd willCancel cancelAt plan{id interval intervalCount product{id name}}access{allowed reason until}}")
"""Any user's account, for the application's own back end; null when there is none."""

CUSTOMERS: Query[CustomersVariables, CustomersAnswer] = Query("query Customers($first:Int!=50$after:String$filter:CustomersFilter){customers(first:$first after:$after filter:$filter){nodes{...CustomerRow}pageInfo{hasNextPage endCursor}}}fragment CustomerRow on ListedCustomer{id externalId email name currency delinquent createdAt}")
"""All customers at Stripe, the newest first. For the application's own back end."""

UPDATE_CUSTOMER: Mutation[UpdateCustomerInput, UpdateCustomerPayload] = Mutation("mutation UpdateCustomer($input:UpdateCustomerInput!){updateCustomer(input:$input){customer{...CustomerRow}userErrors{...Problem}}}fragment CustomerRow on ListedCustomer{id externalId email name currency delinquent createdAt}fragment Problem on UserError{code message field}")
"""Set the e-mail address and the name of a user's customer. For the application's own back end."""

CREATE_CHECKOUT_SESSION: Mutation[CreateCheckoutSessionInput, CreateCheckoutSessionPayload] = Mutation("mutation CreateCheckoutSession($input:CreateCheckoutSessionInput!){createCheckoutSession(input:$input){session{id url clientSecret status expiresAt}userErrors{...Problem}}}fragment Problem on UserError{code message field}")
"""Open a checkout at Stripe and get its URL."""

CREATE_PORTAL_SESSION: Mutation[CreatePortalSessionInput, CreatePortalSessionPayload] = Mutation("mutation CreatePortalSession($input:CreatePortalSessionInput!){createPortalSession(input:$input){url userErrors{...Problem}}}fragment Problem on UserError{code message field}")
"""Open Stripe's customer portal for the signed-in user."""

CONSUME: Mutation[ConsumeInput, ConsumePayload] = Mutation("mutation Consume($input:ConsumeInput!){consume(input:$input){count{...Count}identifier userErrors{...Problem}}}fragment Count on FeatureCount{limit used held remaining resetsAt overage}fragment Problem on UserError{code message field}")
"""Use an amount of a counted feature, if so much is left: checked and counted in one step."""

HOLD: Mutation[HoldInput, HoldPayload] = Mutation("mutation Hold($input:HoldInput!){hold(input:$input){hold{...KeptHold}count{...Count}userErrors{...Problem}}}fragment Count on FeatureCount{limit used held remaining resetsAt overage}fragment KeptHold on UsageHold{id feature amount actual status expiresAt}fragment Problem on UserError{code message field}")
"""Keep an amount of a counted feature for work whose cost is not known yet; it lapses by itself."""

COMMIT_HOLD: Mutation[CommitHoldInput, CommitHoldPayload] = Mutation("mutation CommitHold($input:CommitHoldInput!){commitHold(input:$input){hold{...KeptHold}count{...Count}userErrors{...Problem}}}fragment Count on FeatureCount{limit used held remaining resetsAt overage}fragment KeptHold on UsageHold{id feature amount actual status expiresAt}fragment Problem on UserError{code message field}")
"""Count what the work of a hold came to, and let go of the rest. The same again gives the same answer."""

RELEASE_HOLD: Mutation[ReleaseHoldInput, ReleaseHoldPayload] = Mutation("mutation ReleaseHold($input:ReleaseHoldInput!){releaseHold(input:$input){hold{...KeptHold}count{...Count}userErrors{...Problem}}}fragment Count on FeatureCount{limit used held remaining resetsAt overage}fragment KeptHold on UsageHold{id feature amount actual status expiresAt}fragment Problem on UserError{code message field}")
"""Let go of what a hold keeps: nothing is counted."""

REPORT_USAGE: Mutation[ReportUsageInput, ReportUsagePayload] = Mutation("mutation ReportUsage($input:ReportUsageInput!){reportUsage(input:$input){identifiers userErrors{...Problem}}}fragment Problem on UserError{code message field}")
"""Report usage. It is recorded before this is answered, and then forwarded until Stripe has it."""

ADJUST_USAGE: Mutation[AdjustUsageInput, AdjustUsagePayload] = Mutation("mutation AdjustUsage($input:AdjustUsageInput!){adjustUsage(input:$input){identifier userErrors{...Problem}}}fragment Problem on UserError{code message field}")
"""Correct usage: it is taken back, at Stripe too, and written anew where it was another amount. Once."""

SET_USAGE_CONTROLS: Mutation[SetUsageControlsInput, SetUsageControlsPayload] = Mutation("mutation SetUsageControls($input:SetUsageControlsInput!){setUsageControls(input:$input){controls{alertThresholds spendCap{amount currency formatted}}userErrors{...Problem}}}fragment Problem on UserError{code message field}")
"""Set at what share of a limit the application is told of a customer, and what a period's use may cost."""

GRANT_CREDITS: Mutation[GrantCreditsInput, GrantCreditsPayload] = Mutation("mutation GrantCredits($input:GrantCreditsInput!){grantCredits(input:$input){entry{...Entry}userErrors{...Problem}}}fragment Entry on CreditEntry{id kind amount balance reason createdAt}fragment Problem on UserError{code message field}")
"""Give credits to a user, which no refund takes back. For the application's own back end."""

SPEND_CREDITS: Mutation[SpendCreditsInput, SpendCreditsPayload] = Mutation("mutation SpendCredits($input:SpendCreditsInput!){spendCredits(input:$input){entry{...Entry}userErrors{...Problem}}}fragment Entry on CreditEntry{id kind amount balance reason createdAt}fragment Problem on UserError{code message field}")
"""Spend credits, those that run out first before others. Never more than there are, whoever spends at once."""
