// Written by `python -m gateway.web.generate` from schema.graphql and src/documents/: do not edit.

/** The subscription that goes on. */
export type AcceptRetentionOfferInput = {
  /** A subscription of the caller. */
  subscriptionId: string;
  /** The same key with the same input does it once, however often it is sent. */
  idempotencyKey?: string | null;
  /** The user for whom the application's own back end does it; nobody else may name one. */
  externalId?: string | null;
  /** Who wants it, for the audit log, such as an agent of the application's support; up to 200 characters. */
  actor?: string | null;
};

/** Why access is given or refused; each value says what it means. */
export type AccessReason =
  /** Paid, or nothing is due. */
  | "ACTIVE"
  /** In its trial. */
  | "TRIALING"
  /** The last payment failed; access goes on for a few days. */
  | "GRACE_PERIOD"
  /** The last payment failed and the grace period is over. */
  | "PAST_DUE"
  /** The invoices are not paid and Stripe has stopped trying. */
  | "UNPAID"
  /** The first payment has not succeeded. */
  | "INCOMPLETE"
  /** Paused, or the trial ended without a way to pay. */
  | "PAUSED"
  /** What was paid for the present went back: all of it, or what a bank took back of it. */
  | "PAID_BACK"
  /** Bought for life. */
  | "PURCHASED"
  /** Ended; what was paid for is still given to its end. */
  | "CANCELED"
  /** All that may be used of the feature in this period is used or held. */
  | "LIMIT_REACHED"
  /** No subscription of this customer includes the feature. */
  | "NOT_INCLUDED"
  /** The customer has never had a subscription. */
  | "NO_SUBSCRIPTION";

/** The bounds within which a buyer may change a quantity. */
export type AdjustableQuantityInput = {
  /** The smallest quantity, 0 or more. */
  minimum?: number;
  /** The largest quantity. */
  maximum: number;
};

/** The subscription, and the code. */
export type ApplyPromotionCodeInput = {
  /** A subscription of the caller. */
  subscriptionId: string;
  /** The code as the buyer types it. */
  promotionCode: string;
  /** The same key with the same input does it once, however often it is sent. */
  idempotencyKey?: string | null;
  /** The user for whom the application's own back end does it; nobody else may name one. */
  externalId?: string | null;
  /** Who wants it, for the audit log, such as an agent of the application's support; up to 200 characters. */
  actor?: string | null;
};

/** The unit of a billing period. */
export type BillingInterval =
  /** Days. */
  | "DAY"
  /** Weeks. */
  | "WEEK"
  /** Months. */
  | "MONTH"
  /** Years. */
  | "YEAR";

/** The subscription that is to stay as it is. */
export type CancelPendingChangeInput = {
  /** A subscription of the caller. */
  subscriptionId: string;
  /** The same key with the same input does it once, however often it is sent. */
  idempotencyKey?: string | null;
  /** The user for whom the application's own back end does it; nobody else may name one. */
  externalId?: string | null;
  /** Who wants it, for the audit log, such as an agent of the application's support; up to 200 characters. */
  actor?: string | null;
};

/** The subscription to cancel, when it ends, and why. */
export type CancelSubscriptionInput = {
  /** A subscription of the caller. */
  subscriptionId: string;
  /** When it ends. */
  when?: CancellationTime;
  /** Why the customer cancels. */
  reason?: CancellationReason | null;
  /** In the customer's words, up to 500 characters. */
  comment?: string | null;
  /** The same key with the same input does it once, however often it is sent. */
  idempotencyKey?: string | null;
  /** The user for whom the application's own back end does it; nobody else may name one. */
  externalId?: string | null;
  /** Who wants it, for the audit log, such as an agent of the application's support; up to 200 characters. */
  actor?: string | null;
};

/** Why a customer leaves, in Stripe's words. */
export type CancellationReason =
  /** Customer service was not good enough. */
  | "CUSTOMER_SERVICE"
  /** Quality was not good enough. */
  | "LOW_QUALITY"
  /** Some features are missing. */
  | "MISSING_FEATURES"
  /** Something else. */
  | "OTHER"
  /** Another service is used instead. */
  | "SWITCHED_SERVICE"
  /** It was too hard to use. */
  | "TOO_COMPLEX"
  /** It costs too much. */
  | "TOO_EXPENSIVE"
  /** It is not used enough. */
  | "UNUSED";

/** When a subscription ends. */
export type CancellationTime =
  /** At once; nothing is paid back. */
  | "NOW"
  /** When the period that was paid for ends. */
  | "AT_PERIOD_END";

/** The subscription to change, and what it becomes. */
export type ChangeSubscriptionInput = {
  /** A subscription of the caller. */
  subscriptionId: string;
  /** What it becomes. */
  to?: SubscriptionChangeInput | null;
  /** The plan to change to; the present one to change the quantity. @deprecated Until 2027-12-01: `to` takes exactly one of `plan` and `items`. */
  priceId?: string | null;
  /** The quantity; the present one if left out. @deprecated Until 2027-12-01: `to` takes exactly one of `plan` and `items`. */
  quantity?: number | null;
  /** Of several items the one that changes; else the one whose product is of its group. @deprecated Until 2027-12-01: `to` takes exactly one of `plan` and `items`. */
  subscriptionItemId?: string | null;
  /** Several changes in one: add-ons that come or go, quantities, another plan. @deprecated Until 2027-12-01: `to` takes exactly one of `plan` and `items`. */
  items?: readonly SubscriptionItemChangeInput[] | null;
  /** The preview's, so that its amount is charged; otherwise proration counts from now. */
  prorationDate?: string | null;
  /** When it happens; left out, as the gateway is set up. */
  when?: ChangeTime | null;
  /** The same key with the same input does it once, however often it is sent. */
  idempotencyKey?: string | null;
  /** The user for whom the application's own back end does it; nobody else may name one. */
  externalId?: string | null;
  /** Who wants it, for the audit log, such as an agent of the application's support; up to 200 characters. */
  actor?: string | null;
};

/** When a change of a subscription happens; each value says what it means. */
export type ChangeTime =
  /** At once; what is due is charged. */
  | "NOW"
  /** When the period that was paid for ends; the renewal is billed at the new price. */
  | "AT_PERIOD_END"
  /** Up at once, down when the period ends. In a trial, where nothing is paid for, at once. */
  | "AUTOMATIC";

/** A price to buy, named once. There is no way to send an amount. */
export type CheckoutLineItemInput = {
  /** The price. */
  price?: PriceInput | null;
  /** Its id. @deprecated Until 2027-12-01: `price` takes exactly one of `id` and `lookupKey`. */
  priceId?: string | null;
  /** Its lookup key. @deprecated Until 2027-12-01: `price` takes exactly one of `id` and `lookupKey`. */
  lookupKey?: string | null;
  /** The quantity; leave it out for a metered price. */
  quantity?: number;
  /** Lets the buyer change the quantity on Stripe's page, such as the seats of a team. */
  adjustableQuantity?: AdjustableQuantityInput | null;
};

/** What a checkout is for. */
export type CheckoutMode =
  /** A purchase. */
  | "PAYMENT"
  /** A subscription, perhaps with one-off lines. */
  | "SUBSCRIPTION"
  /** Only to save a payment method. */
  | "SETUP";

/** The status of a checkout. */
export type CheckoutSessionStatus =
  /** The buyer can still pay. */
  | "OPEN"
  /** The buyer is done; payment may still be on its way. */
  | "COMPLETE"
  /** It was closed or expired without payment. */
  | "EXPIRED";

/** Where the buyer pays. */
export type CheckoutUiMode =
  /** On Stripe's page, reached by `url`. */
  | "HOSTED"
  /** In Stripe's form within your own page, opened with `clientSecret`. */
  | "EMBEDDED";

/** What is used, and by whom. */
export type ConsumeInput = {
  /** The id by which the application knows the customer. */
  externalId: string;
  /** The feature's key. A product that the customer has says what counts it (`use_…` in its metadata). */
  feature: string;
  /** How much, at least 1. All of it or nothing. */
  amount?: number;
  /** 1 to 255 characters. The same key with the same input counts once, however often it is sent. */
  idempotencyKey: string;
};

/** What to buy, and where to go afterwards. */
export type CreateCheckoutSessionInput = {
  /** 1 to 20 lines. Any recurring price makes it a subscription. */
  lineItems: readonly CheckoutLineItemInput[];
  /** Buy nothing, only save a payment method; the lines are empty then. For signed-in users. */
  setup?: boolean;
  /** The user that it is for, when the application's own back end asks; nobody else may. */
  externalId?: string | null;
  /** HOSTED: where the buyer goes after paying. `{CHECKOUT_SESSION_ID}` in it is filled in by Stripe. */
  successUrl?: string | null;
  /** HOSTED: where the buyer goes to cancel. */
  cancelUrl?: string | null;
  /** EMBEDDED: where the buyer goes afterwards. `{CHECKOUT_SESSION_ID}` in it is filled in by Stripe. */
  returnUrl?: string | null;
  /** Where the buyer pays. */
  uiMode?: CheckoutUiMode;
  /** The currency to pay in, which every price must offer; else the prices' own. */
  currency?: string | null;
  /** The language of Stripe's page, such as de or pt-BR; else the browser's. */
  locale?: string | null;
  /** A promotion code that is already known, as buyers write it; no `coupon` then. */
  promotionCode?: string | null;
  /** A coupon that the application's own back end grants; nobody else may. */
  coupon?: string | null;
  /** Whether the buyer may enter a promotion code; not where `promotionCode` or `coupon` is given. */
  allowPromotionCodes?: boolean;
  /** Fills in the e-mail field of a guest; a signed-in user's own address goes first. */
  customerEmail?: string | null;
  /** The same key with the same input gives the same session, so that a retry buys once; a signed-in user's same request gives the same open session also without one. A guest's must be hard to guess: at least 16 characters, such as a UUID. */
  idempotencyKey?: string | null;
  /** Up to 50 entries to keep at Stripe with the session and with the subscription or payment that it makes. */
  metadata?: readonly MetadataEntryInput[] | null;
};

/** What the portal opens with, and where it leads back to. */
export type CreatePortalSessionInput = {
  /** Where the link back leads, and a completed flow. */
  returnUrl: string;
  /** What it opens with. */
  flow?: PortalFlow;
  /** For SUBSCRIPTION_… flows: which one; may be left out when there is only one. */
  subscriptionId?: string | null;
  /** The portal's language; else the browser's. */
  locale?: string | null;
  /** The user that it is for, when the application's own back end asks; nobody else may. */
  externalId?: string | null;
};

/** Why the balance changed. */
export type CreditEntryKind =
  /** Something was paid, or the seller gave them. */
  | "GRANT"
  /** A payment, or a part of it, went back to the buyer. */
  | "REVOKE"
  /** A revocation was undone: a refund failed, or a dispute was won. */
  | "RESTORE"
  /** Credits were used. */
  | "SPEND"
  /** Credits expired; above zero when that was undone. */
  | "EXPIRE";

/** Why a pricing page is in its currency; each value says what it means. */
export type CurrencyChoice =
  /** It was asked for. */
  | "REQUESTED"
  /** The signed-in user is bound to it by what was bought. */
  | "VIEWER"
  /** It is the currency of the country. */
  | "COUNTRY"
  /** It is the default currency. */
  | "DEFAULT";

/** The status of an invoice. Drafts are not shown: their amounts can still change. */
export type InvoiceStatus =
  /** It is to be paid. */
  | "OPEN"
  /** It is paid, or nothing was due. */
  | "PAID"
  /** It was voided and is not to be paid. */
  | "VOID"
  /** It was written off. */
  | "UNCOLLECTIBLE";

/** One of several changes: exactly one of the two. */
export type ItemChangeInput =
  | { set: SubscriptionItemInput }
  | { remove: SubscriptionItemRefInput };

/** A key and a value to keep with an object. */
export type MetadataEntryInput = {
  /** Up to 40 characters without square brackets; `gateway_…` is reserved. */
  key: string;
  /** Up to 500 characters. */
  value: string;
};

/** The subscription to pause, and until when. */
export type PauseSubscriptionInput = {
  /** A subscription of the caller. */
  subscriptionId: string;
  /** It goes on by itself with the first renewal at or after this moment, within a year; left out, when it is resumed. */
  until?: string | null;
  /** The same key with the same input does it once, however often it is sent. */
  idempotencyKey?: string | null;
  /** The user for whom the application's own back end does it; nobody else may name one. */
  externalId?: string | null;
  /** Who wants it, for the audit log, such as an agent of the application's support; up to 200 characters. */
  actor?: string | null;
};

/** Whether a checkout is paid. */
export type PaymentStatus =
  /** Paid. */
  | "PAID"
  /** Not paid, or not yet: bank debits take days. */
  | "UNPAID"
  /** Nothing is due, as in a trial. */
  | "NO_PAYMENT_REQUIRED";

/** What a customer may do with a plan; each value says what it means. */
export type PlanAction =
  /** Buy it at the checkout. */
  | "SUBSCRIBE"
  /** It is the customer's plan. */
  | "CURRENT"
  /** Change to it from a smaller plan. */
  | "UPGRADE"
  /** Change to it from a bigger plan. */
  | "DOWNGRADE"
  /** Change to it from another interval of the product, or from a plan of which neither is the bigger one. */
  | "SWITCH"
  /** The subscription changes to it when its period ends. */
  | "SCHEDULED"
  /** It is the customer's plan, which ends or is paused: take it up again. */
  | "RESUME"
  /** The customer cannot have it; the reason says why. */
  | "UNAVAILABLE";

/** Another plan, or another quantity of the present one. */
export type PlanChangeInput = {
  /** The plan to change to; the present one to change the quantity. */
  priceId: string;
  /** The quantity; the present one if left out. */
  quantity?: number | null;
  /** Of several items the one that changes; else the one whose product is of its group. */
  itemId?: string | null;
};

/** What the portal opens with; each value says what it means. */
export type PortalFlow =
  /** Everything that the portal's configuration offers. */
  | "OVERVIEW"
  /** Only to change the payment method. */
  | "PAYMENT_METHOD_UPDATE"
  /** Only to cancel a subscription. */
  | "SUBSCRIPTION_CANCEL"
  /** Only to change a subscription's plan. */
  | "SUBSCRIPTION_UPDATE";

/** A price, by exactly one of its names. */
export type PriceInput =
  | { id: string }
  | { lookupKey: string };

/** The subscription to resume. */
export type ResumeSubscriptionInput = {
  /** A subscription of the caller. */
  subscriptionId: string;
  /** The same key with the same input does it once, however often it is sent. */
  idempotencyKey?: string | null;
  /** The user for whom the application's own back end does it; nobody else may name one. */
  externalId?: string | null;
  /** Who wants it, for the audit log, such as an agent of the application's support; up to 200 characters. */
  actor?: string | null;
};

/** What to start, and a code that may make it free. */
export type StartSubscriptionInput = {
  /** 1 to 20 plans. */
  lineItems: readonly CheckoutLineItemInput[];
  /** A code as the buyer types it. */
  promotionCode?: string | null;
  /** The currency; left out, the prices' own. */
  currency?: string | null;
  /** The same key with the same input does it once, however often it is sent. */
  idempotencyKey?: string | null;
  /** The user for whom the application's own back end does it; nobody else may name one. */
  externalId?: string | null;
};

/** What a subscription becomes: exactly one of the two. */
export type SubscriptionChangeInput =
  | { plan: PlanChangeInput }
  | { items: readonly ItemChangeInput[] };

/** A change as `items` took it before there was `to`. */
export type SubscriptionItemChangeInput = {
  /** The item; left out, the one of the same price, product or group, if there is one. */
  itemId?: string | null;
  /** What the item becomes, or what is added; left out, only the quantity changes. */
  priceId?: string | null;
  /** The quantity; the present one if left out, and 1 of what is added. */
  quantity?: number | null;
  /** Whether it goes. @deprecated Until 2027-12-01: `ItemChangeInput.remove` takes exactly one of `itemId` and `priceId`. */
  remove?: boolean;
};

/** An item as it is to be: named by its id, by its price, or by both where it gets another price. */
export type SubscriptionItemInput = {
  /** The item; left out, the one of the same price, product or group, if there is one. */
  itemId?: string | null;
  /** What the item becomes, or what is added; left out, only the quantity changes. */
  priceId?: string | null;
  /** The quantity; the present one if left out, and 1 of what is added. */
  quantity?: number | null;
};

/** An item of a subscription, by exactly one of its names. */
export type SubscriptionItemRefInput =
  | { itemId: string }
  | { priceId: string };

/** The status of a subscription at Stripe. */
export type SubscriptionStatus =
  /** The first payment has not succeeded yet. */
  | "INCOMPLETE"
  /** The first payment did not succeed within a day. */
  | "INCOMPLETE_EXPIRED"
  /** In its trial. */
  | "TRIALING"
  /** Paid, or nothing is due. */
  | "ACTIVE"
  /** The last payment failed; Stripe tries again. */
  | "PAST_DUE"
  /** The trial ended without a payment method. */
  | "PAUSED"
  /** Stripe has stopped trying to charge it. */
  | "UNPAID"
  /** Ended for good. */
  | "CANCELED";

/** How tiers apply to a quantity. */
export type TiersMode =
  /** Each tier prices the units that fall into it. */
  | "GRADUATED"
  /** The tier that the whole quantity reaches prices all units. */
  | "VOLUME";

/** How the quantity of a plan is determined. */
export type UsageType =
  /** It is chosen when buying, such as seats. */
  | "LICENSED"
  /** It is what was used, and billed afterwards. */
  | "METERED";

/** Codes that clients may switch on; each value says what it means. */
export type UserErrorCode =
  /** There are no lines, or too many, or some that contradict each other or name no price, or two. */
  | "LINE_ITEMS_INVALID"
  /** There is no such price. */
  | "PRICE_NOT_FOUND"
  /** The price, or its product, is no longer sold. */
  | "PRICE_NOT_ON_SALE"
  /** Two lines name the same price: put their quantities together. */
  | "DUPLICATE_PRICE"
  /** The quantity is out of range, or the price is metered and takes none. */
  | "QUANTITY_INVALID"
  /** Not every price is offered in this currency. */
  | "CURRENCY_NOT_OFFERED"
  /** The plans are billed by different intervals, which one checkout, or one change, cannot mix. */
  | "INTERVALS_MIXED"
  /** This kind of checkout needs this URL. */
  | "URL_REQUIRED"
  /** This kind of checkout does not use this URL. */
  | "URL_UNUSED"
  /** Buyers may not be sent to this URL. */
  | "REDIRECT_NOT_ALLOWED"
  /** This is not an e-mail address. */
  | "EMAIL_INVALID"
  /** The metadata has too many entries, a key or value that is too long, or a reserved key. */
  | "METADATA_INVALID"
  /** The promotion code does not exist or cannot be used here. */
  | "PROMOTION_CODE_INVALID"
  /** The key is too long, or a guest's key is too easy to guess. */
  | "IDEMPOTENCY_KEY_INVALID"
  /** The key was used before for another request. */
  | "IDEMPOTENCY_KEY_REUSED"
  /** The price is paid once, and this needs a plan. */
  | "PRICE_NOT_RECURRING"
  /** The subscription has ended for good. */
  | "SUBSCRIPTION_ENDED"
  /** The subscription ends, and nothing can be planned for later: resume it first. */
  | "SUBSCRIPTION_ENDING"
  /** What is billed by use, or waits to be billed, would never be: this cannot be paused. */
  | "PAUSE_UNAVAILABLE"
  /** The subscription is paused: resume it first. */
  | "SUBSCRIPTION_PAUSED"
  /** This costs something, or is not sold without a card: it is bought at the checkout. */
  | "CHECKOUT_NEEDED"
  /** A change waits for the end of the period: undo it first. */
  | "CHANGE_PENDING"
  /** The seller has planned a change or an end that binds the customer: only the seller undoes it. */
  | "PLANNED_BY_SELLER"
  /** There is no such coupon, or no such offer (any more). */
  | "OFFER_UNAVAILABLE"
  /** The preview is too old to be charged; ask for a new one. */
  | "PREVIEW_EXPIRED"
  /** An invoice is not paid yet, or its money went back or is disputed: that comes before a change. */
  | "INVOICE_UNPAID"
  /** The subscription has several items and none is named, or it does not have this one. */
  | "SUBSCRIPTION_ITEM_NEEDED"
  /** The payment did not go through, and nothing was changed. */
  | "PAYMENT_FAILED"
  /** Nothing pays the subscription, or a card that is not proved to be the user's: the portal takes one of his own. */
  | "PAYMENT_METHOD_NEEDED"
  /** The comment is too long. */
  | "COMMENT_TOO_LONG"
  /** There is a live subscription to a plan of this group: change that one instead. */
  | "ALREADY_SUBSCRIBED"
  /** The checkout that was opened before has just been paid; it is answered instead. */
  | "EARLIER_SESSION_PAID"
  /** Several customers may be the user's: the seller must say which (`gateway customers link`). */
  | "CUSTOMER_AMBIGUOUS"
  /** Nothing was bought yet, or Stripe no longer has the customer: a checkout makes one. */
  | "NO_CUSTOMER"
  /** The subscription is not named and cannot be chosen, or has ended, or the flow needs none. */
  | "SUBSCRIPTION_NEEDED"
  /** The amount is out of range. */
  | "AMOUNT_INVALID"
  /** There is no active meter with this event name. */
  | "METER_NOT_FOUND"
  /** Nothing was reported under this identifier that counts. */
  | "USAGE_NOT_FOUND"
  /** The time is too long ago, or too far ahead. */
  | "TIMESTAMP_INVALID"
  /** There are not enough credits; nothing was spent. */
  | "INSUFFICIENT_CREDITS"
  /** The user may not use this feature. */
  | "FEATURE_NOT_ALLOWED"
  /** No product says what counts this feature. */
  | "FEATURE_NOT_COUNTED"
  /** This is more than is left of the feature in this period; nothing was counted. */
  | "LIMIT_REACHED"
  /** This would cost more than the customer's spend cap for a period; nothing was counted. */
  | "SPEND_CAP_REACHED"
  /** There is no such hold. */
  | "HOLD_NOT_FOUND"
  /** The hold was released, or committed with another amount. */
  | "HOLD_ENDED"
  /** The time is too short or too long. */
  | "DURATION_INVALID"
  /** No kind of credits can have this name. */
  | "CREDIT_KIND_INVALID"
  /** The text is too long. */
  | "TEXT_TOO_LONG"
  /** No payment at Stripe has paid the invoice, or several have: refund it at Stripe. */
  | "INVOICE_NOT_REFUNDABLE"
  /** Stripe has no such customer, or it is another user's. */
  | "CUSTOMER_UNAVAILABLE"
  /** The checkout is already complete or expired. */
  | "SESSION_NOT_OPEN"
  /** Stripe refuses the request; the message is Stripe's. */
  | "STRIPE_REFUSED";

export type AccessToQuery = {
  viewer: {
    accessTo: {
      feature: string;
      access: {
        allowed: boolean;
        reason: AccessReason;
        until: string | null;
        limit: number | null;
      };
    }[];
  } | null;
};

export type AccessToQueryVariables = {
  features: readonly string[];
};

export type AccessToUpdatedSubscription = {
  viewerUpdated: {
    accessTo: {
      feature: string;
      access: {
        allowed: boolean;
        reason: AccessReason;
        until: string | null;
        limit: number | null;
      };
    }[];
  };
};

export type AccessToUpdatedSubscriptionVariables = {
  features: readonly string[];
};

export type ViewerQuery = {
  viewer: {
    email: string | null;
    subscription: {
      id: string;
      status: SubscriptionStatus;
      quantity: number | null;
      trialEnd: string | null;
      cancelAt: string | null;
      willCancel: boolean;
      paused: boolean;
      pausedUntil: string | null;
      currentPeriodStart: string | null;
      currentPeriodEnd: string | null;
      endedAt: string | null;
      access: {
        allowed: boolean;
        reason: AccessReason;
        until: string | null;
      };
      discounts: {
        name: string | null;
        percentOff: number | null;
        amountOff: {
          formatted: string;
        } | null;
        once: boolean;
        endsAt: string | null;
      }[];
      retentionOffer: {
        expiresAt: string | null;
        discount: {
          name: string | null;
          percentOff: number | null;
          amountOff: {
            formatted: string;
          } | null;
          once: boolean;
          endsAt: string | null;
        };
      } | null;
      plannedBySeller: boolean;
      pendingChange: {
        at: string;
        items: {
          quantity: number | null;
          plan: {
            id: string;
            interval: BillingInterval;
            intervalCount: number;
            usageType: UsageType;
            product: {
              name: string;
              unitLabel: string | null;
              addon: boolean;
            };
            amountFor: {
              currency: string;
              formatted: string;
            } | null;
          } | null;
        }[];
      } | null;
      confirmation: {
        url: string | null;
        expiresAt: string;
        amount: {
          formatted: string;
        };
        items: {
          quantity: number | null;
          plan: {
            id: string;
            interval: BillingInterval;
            intervalCount: number;
            usageType: UsageType;
            product: {
              name: string;
              unitLabel: string | null;
              addon: boolean;
            };
            amountFor: {
              currency: string;
              formatted: string;
            } | null;
          } | null;
        }[];
      } | null;
      items: {
        id: string;
        quantity: number | null;
        plan: {
          id: string;
          interval: BillingInterval;
          intervalCount: number;
          usageType: UsageType;
          product: {
            name: string;
            unitLabel: string | null;
            addon: boolean;
          };
          amountFor: {
            currency: string;
            formatted: string;
          } | null;
        } | null;
      }[];
    } | null;
    subscriptions: {
      id: string;
      status: SubscriptionStatus;
      quantity: number | null;
      trialEnd: string | null;
      cancelAt: string | null;
      willCancel: boolean;
      paused: boolean;
      pausedUntil: string | null;
      currentPeriodStart: string | null;
      currentPeriodEnd: string | null;
      endedAt: string | null;
      access: {
        allowed: boolean;
        reason: AccessReason;
        until: string | null;
      };
      discounts: {
        name: string | null;
        percentOff: number | null;
        amountOff: {
          formatted: string;
        } | null;
        once: boolean;
        endsAt: string | null;
      }[];
      retentionOffer: {
        expiresAt: string | null;
        discount: {
          name: string | null;
          percentOff: number | null;
          amountOff: {
            formatted: string;
          } | null;
          once: boolean;
          endsAt: string | null;
        };
      } | null;
      plannedBySeller: boolean;
      pendingChange: {
        at: string;
        items: {
          quantity: number | null;
          plan: {
            id: string;
            interval: BillingInterval;
            intervalCount: number;
            usageType: UsageType;
            product: {
              name: string;
              unitLabel: string | null;
              addon: boolean;
            };
            amountFor: {
              currency: string;
              formatted: string;
            } | null;
          } | null;
        }[];
      } | null;
      confirmation: {
        url: string | null;
        expiresAt: string;
        amount: {
          formatted: string;
        };
        items: {
          quantity: number | null;
          plan: {
            id: string;
            interval: BillingInterval;
            intervalCount: number;
            usageType: UsageType;
            product: {
              name: string;
              unitLabel: string | null;
              addon: boolean;
            };
            amountFor: {
              currency: string;
              formatted: string;
            } | null;
          } | null;
        }[];
      } | null;
      items: {
        id: string;
        quantity: number | null;
        plan: {
          id: string;
          interval: BillingInterval;
          intervalCount: number;
          usageType: UsageType;
          product: {
            name: string;
            unitLabel: string | null;
            addon: boolean;
          };
          amountFor: {
            currency: string;
            formatted: string;
          } | null;
          features: {
            key: string;
            name: string;
          }[];
        } | null;
      }[];
    }[];
    usage?: {
      value: number;
      periodStart: string;
      periodEnd: string;
    } | null;
    paymentMethod: {
      type: string;
      brand: string | null;
      last4: string | null;
      expMonth: number | null;
      expYear: number | null;
    } | null;
    entitlements: {
      feature: string;
      limit: number | null;
      count: {
        used: number | null;
        resetsAt: string | null;
      } | null;
    }[];
    creditKinds: {
      kind: string | null;
      balance: number;
    }[];
    credits: {
      balance: number;
      entries: {
        nodes: {
          id: string;
          kind: CreditEntryKind;
          amount: number;
          reason: string | null;
          createdAt: string;
        }[];
      };
    };
    invoices: {
      nodes: {
        id: string;
        number: string | null;
        status: InvoiceStatus;
        createdAt: string;
        hostedInvoiceUrl: string | null;
        invoicePdf: string | null;
        subscriptionId: string | null;
        amountRemaining: {
          formatted: string;
        };
        refunded: {
          amount: number;
          formatted: string;
        };
        tax: {
          amount: number;
          formatted: string;
        };
        total: {
          formatted: string;
        };
      }[];
    };
  } | null;
};

export type ViewerQueryVariables = {
  locale?: string;
  meter: string;
  isMetered: boolean;
};

export type CostQuery = {
  viewer: {
    subscriptions: {
      id: string;
      plan: {
        amountFor: {
          formatted: string;
        } | null;
      } | null;
    }[];
  } | null;
};

export type CostQueryVariables = {
  quantity: number;
  locale?: string;
};

export type RenewalsQuery = {
  viewer: {
    subscriptions: {
      id: string;
      dueAtRenewal: {
        formatted: string;
      } | null;
      pendingChange: {
        dueAtRenewal: {
          formatted: string;
        } | null;
      } | null;
    }[];
  } | null;
};

export type RenewalsQueryVariables = {
  locale?: string;
};

export type PlansQuery = {
  pricing: {
    currency: string;
    products: {
      product: {
        id: string;
        name: string;
        unitLabel: string | null;
        addon: boolean;
      };
      plans: {
        id: string;
        interval: BillingInterval;
        intervalCount: number;
        usageType: UsageType;
        minQuantity: number;
        maxQuantity: number | null;
        viewer: {
          action: PlanAction;
          subscriptionId: string | null;
        } | null;
        amountFor: {
          formatted: string;
        } | null;
        price: {
          tiers: {
            upTo: number | null;
          }[];
          transformQuantity: {
            divideBy: number;
          } | null;
        };
      }[];
    }[];
  };
};

export type PlansQueryVariables = {
  locale?: string;
  currency?: string | null;
};

export type QuoteChangeQuery = {
  viewer: {
    quoteChange: {
      preview: {
        when: ChangeTime;
        at: string;
        dueNow: {
          formatted: string;
        };
        credit: {
          amount: number;
          formatted: string;
        };
        dueAtRenewal: {
          formatted: string;
        } | null;
        renewsAt: string | null;
        prorationDate: string;
        lines: {
          id: string;
          description: string | null;
          amount: {
            formatted: string;
          };
        }[];
      } | null;
      userErrors: {
        code: UserErrorCode;
        text: string;
      }[];
    };
  } | null;
};

export type QuoteChangeQueryVariables = {
  subscriptionId: string;
  to: SubscriptionChangeInput;
  when?: ChangeTime | null;
  locale?: string;
};

export type ChangeSubscriptionMutation = {
  changeSubscription: {
    subscription: {
      id: string;
      plan: {
        id: string;
      } | null;
      confirmation: {
        expiresAt: string;
      } | null;
    } | null;
    invoice: {
      amountDue: {
        amount: number;
        formatted: string;
      };
    } | null;
    userErrors: {
      code: UserErrorCode;
      message: string;
      field: string | null;
      text: string;
    }[];
  };
};

export type ChangeSubscriptionMutationVariables = {
  input: ChangeSubscriptionInput;
  locale?: string;
};

export type CancelPendingChangeMutation = {
  cancelPendingChange: {
    subscription: {
      id: string;
      pendingChange: {
        at: string;
      } | null;
    } | null;
    userErrors: {
      code: UserErrorCode;
      message: string;
      field: string | null;
      text: string;
    }[];
  };
};

export type CancelPendingChangeMutationVariables = {
  input: CancelPendingChangeInput;
  locale?: string;
};

export type CancelSubscriptionMutation = {
  cancelSubscription: {
    subscription: {
      id: string;
      status: SubscriptionStatus;
      cancelAt: string | null;
    } | null;
    userErrors: {
      code: UserErrorCode;
      message: string;
      field: string | null;
      text: string;
    }[];
  };
};

export type CancelSubscriptionMutationVariables = {
  input: CancelSubscriptionInput;
  locale?: string;
};

export type PauseSubscriptionMutation = {
  pauseSubscription: {
    subscription: {
      id: string;
      paused: boolean;
      pausedUntil: string | null;
    } | null;
    userErrors: {
      code: UserErrorCode;
      message: string;
      field: string | null;
      text: string;
    }[];
  };
};

export type PauseSubscriptionMutationVariables = {
  input: PauseSubscriptionInput;
  locale?: string;
};

export type ResumeSubscriptionMutation = {
  resumeSubscription: {
    subscription: {
      id: string;
      status: SubscriptionStatus;
      cancelAt: string | null;
    } | null;
    userErrors: {
      code: UserErrorCode;
      message: string;
      field: string | null;
      text: string;
    }[];
  };
};

export type ResumeSubscriptionMutationVariables = {
  input: ResumeSubscriptionInput;
  locale?: string;
};

export type ApplyPromotionCodeMutation = {
  applyPromotionCode: {
    subscription: {
      id: string;
    } | null;
    userErrors: {
      code: UserErrorCode;
      message: string;
      field: string | null;
      text: string;
    }[];
  };
};

export type ApplyPromotionCodeMutationVariables = {
  input: ApplyPromotionCodeInput;
  locale?: string;
};

export type AcceptRetentionOfferMutation = {
  acceptRetentionOffer: {
    subscription: {
      id: string;
    } | null;
    userErrors: {
      code: UserErrorCode;
      message: string;
      field: string | null;
      text: string;
    }[];
  };
};

export type AcceptRetentionOfferMutationVariables = {
  input: AcceptRetentionOfferInput;
  locale?: string;
};

export type ViewerUpdatedSubscription = {
  viewerUpdated: {
    subscriptions: {
      id: string;
      status: SubscriptionStatus;
      quantity: number | null;
      willCancel: boolean;
      paused: boolean;
      currentPeriodEnd: string | null;
      plan: {
        id: string;
      } | null;
    }[];
    invoices: {
      nodes: {
        id: string;
        status: InvoiceStatus;
      }[];
    };
    credits: {
      balance: number;
    };
  };
};

export type ViewerUpdatedSubscriptionVariables = {
};

export type CreateCheckoutSessionMutation = {
  createCheckoutSession: {
    session: {
      id: string;
      url: string | null;
    } | null;
    userErrors: {
      code: UserErrorCode;
      message: string;
      field: string | null;
      text: string;
    }[];
  };
};

export type CreateCheckoutSessionMutationVariables = {
  input: CreateCheckoutSessionInput;
  locale?: string;
};

export type StartSubscriptionMutation = {
  startSubscription: {
    subscription: {
      id: string;
    } | null;
    userErrors: {
      code: UserErrorCode;
      message: string;
      field: string | null;
      text: string;
    }[];
  };
};

export type StartSubscriptionMutationVariables = {
  input: StartSubscriptionInput;
  locale?: string;
};

export type CreatePortalSessionMutation = {
  createPortalSession: {
    url: string | null;
    userErrors: {
      code: UserErrorCode;
      message: string;
      field: string | null;
      text: string;
    }[];
  };
};

export type CreatePortalSessionMutationVariables = {
  input: CreatePortalSessionInput;
  locale?: string;
};

export type PricingQuery = {
  pricing: {
    currency: string;
    currencyChoice: CurrencyChoice;
    currencies: string[];
    products: {
      product: {
        id: string;
        name: string;
        description: string | null;
        features: string[];
        unitLabel: string | null;
        callToAction: string | null;
        highlighted: boolean;
        addon: boolean;
      };
      oneTime: {
        id: string;
        nickname: string | null;
        customAmountLimits: {
          minimum: {
            amount: number;
            currency: string;
            decimal: string;
            formatted: string;
          } | null;
          maximum: {
            amount: number;
            currency: string;
            decimal: string;
            formatted: string;
          } | null;
          preset: {
            amount: number;
            currency: string;
            decimal: string;
            formatted: string;
          } | null;
        } | null;
        unitAmount: {
          amount: number;
          currency: string;
          decimal: string;
          formatted: string;
        } | null;
        unitAmountDecimal: string | null;
        customAmount: boolean;
        taxText: string | null;
        transformQuantity: {
          divideBy: number;
        } | null;
      }[];
      plans: {
        id: string;
        nickname: string | null;
        interval: BillingInterval;
        intervalCount: number;
        trialPeriodDays: number | null;
        usageType: UsageType;
        minQuantity: number;
        maxQuantity: number | null;
        savingPercent: number | null;
        features: {
          key: string;
          name: string;
          limit: number | null;
          perUnit: boolean;
        }[];
        monthlyEquivalent: {
          formatted: string;
        } | null;
        amountFor: {
          amount: number;
          formatted: string;
        } | null;
        price: {
          unitAmount: {
            amount: number;
            currency: string;
            decimal: string;
            formatted: string;
          } | null;
          unitAmountDecimal: string | null;
          customAmount: boolean;
          taxText: string | null;
          transformQuantity: {
            divideBy: number;
          } | null;
          tiersMode: TiersMode | null;
          tiers: {
            upTo: number | null;
            flatAmount: {
              amount: number;
              currency: string;
              decimal: string;
              formatted: string;
            } | null;
            unitAmount: {
              amount: number;
              currency: string;
              decimal: string;
              formatted: string;
            } | null;
            unitAmountDecimal: string | null;
          }[];
        };
      }[];
    }[];
  };
};

export type PricingQueryVariables = {
  currency?: string | null;
  country?: string | null;
  locale?: string;
};

export type PricingForViewerQuery = {
  pricing: {
    currency: string;
    currencyChoice: CurrencyChoice;
    currencies: string[];
    products: {
      product: {
        id: string;
        name: string;
        description: string | null;
        features: string[];
        unitLabel: string | null;
        callToAction: string | null;
        highlighted: boolean;
        addon: boolean;
      };
      oneTime: {
        id: string;
        nickname: string | null;
        customAmountLimits: {
          minimum: {
            amount: number;
            currency: string;
            decimal: string;
            formatted: string;
          } | null;
          maximum: {
            amount: number;
            currency: string;
            decimal: string;
            formatted: string;
          } | null;
          preset: {
            amount: number;
            currency: string;
            decimal: string;
            formatted: string;
          } | null;
        } | null;
        unitAmount: {
          amount: number;
          currency: string;
          decimal: string;
          formatted: string;
        } | null;
        unitAmountDecimal: string | null;
        customAmount: boolean;
        taxText: string | null;
        transformQuantity: {
          divideBy: number;
        } | null;
      }[];
      plans: {
        id: string;
        nickname: string | null;
        interval: BillingInterval;
        intervalCount: number;
        trialPeriodDays: number | null;
        usageType: UsageType;
        minQuantity: number;
        maxQuantity: number | null;
        savingPercent: number | null;
        features: {
          key: string;
          name: string;
          limit: number | null;
          perUnit: boolean;
        }[];
        monthlyEquivalent: {
          formatted: string;
        } | null;
        amountFor: {
          amount: number;
          formatted: string;
        } | null;
        price: {
          unitAmount: {
            amount: number;
            currency: string;
            decimal: string;
            formatted: string;
          } | null;
          unitAmountDecimal: string | null;
          customAmount: boolean;
          taxText: string | null;
          transformQuantity: {
            divideBy: number;
          } | null;
          tiersMode: TiersMode | null;
          tiers: {
            upTo: number | null;
            flatAmount: {
              amount: number;
              currency: string;
              decimal: string;
              formatted: string;
            } | null;
            unitAmount: {
              amount: number;
              currency: string;
              decimal: string;
              formatted: string;
            } | null;
            unitAmountDecimal: string | null;
          }[];
        };
        viewer: {
          action: PlanAction;
          reasonText: string | null;
          trialDays: number | null;
        } | null;
      }[];
    }[];
  };
  viewer: {
    subscription: {
      id: string;
      quantity: number | null;
      status: SubscriptionStatus;
    } | null;
  } | null;
};

export type PricingForViewerQueryVariables = {
  currency?: string | null;
  country?: string | null;
  locale?: string;
};

export type SessionQuery = {
  session: {
    id: string;
    status: CheckoutSessionStatus;
    paymentStatus: PaymentStatus;
    mode: CheckoutMode;
    url: string | null;
    amountTotal: {
      formatted: string;
    } | null;
    lineItems: {
      description: string | null;
      quantity: number | null;
    }[];
    subscription: {
      id: string;
      status: SubscriptionStatus;
      quantity: number | null;
      trialEnd: string | null;
      currentPeriodEnd: string | null;
      plan: {
        interval: BillingInterval;
        intervalCount: number;
      } | null;
    } | null;
  } | null;
};

export type SessionQueryVariables = {
  id: string;
  locale?: string;
};

export type SessionUpdatedSubscription = {
  sessionUpdated: {
    status: CheckoutSessionStatus;
    paymentStatus: PaymentStatus;
    subscription: {
      status: SubscriptionStatus;
    } | null;
  };
};

export type SessionUpdatedSubscriptionVariables = {
  id: string;
};

export type TotalsQuery = {
  plans: {
    nodes: {
      id: string;
      amountFor: {
        formatted: string;
      } | null;
    }[];
  };
};

export type TotalsQueryVariables = {
  productId: string;
  currency: string;
  quantity: number;
  locale?: string;
};

export type ConsumeMutation = {
  consume: {
    count: {
      used: number | null;
      limit: number | null;
      remaining: number | null;
      resetsAt: string | null;
    } | null;
    userErrors: {
      code: UserErrorCode;
      message: string;
      field: string | null;
      text: string;
    }[];
  };
};

export type ConsumeMutationVariables = {
  input: ConsumeInput;
  locale?: string;
};
