// What the account page asks the public GraphQL API.

/** The event name of the sample catalogue's meter. */
export const METER = "api_calls";

export const VIEWER = `query Viewer($locale: String!, $meter: String!) {
  viewer {
    email
    subscription { ...Standing }
    subscriptions {
      ...Standing
      items { plan { features { key name(locale: $locale) } } }
    }
    usage(eventName: $meter) { value periodStart periodEnd }
    paymentMethod { type brand last4 expMonth expYear }
    entitlements { feature limit }
    credits {
      balance
      entries(first: 5) { nodes { id kind amount reason createdAt } }
    }
    invoices(first: 12) {
      nodes {
        id
        number
        status
        createdAt
        hostedInvoiceUrl
        invoicePdf
        subscriptionId
        amountRemaining { formatted(locale: $locale) }
        refunded { amount formatted(locale: $locale) }
        total { formatted(locale: $locale) }
      }
    }
  }
}

fragment Standing on BillingSubscription {
  id
  status
  quantity
  trialEnd
  cancelAt
  willCancel
  paused
  pausedUntil
  currentPeriodStart
  currentPeriodEnd
  endedAt
  access { allowed reason until }
  discounts { ...Reduction }
  retentionOffer { expiresAt discount { ...Reduction } }
  pendingChange { at items { quantity plan { ...Named } } }
  items { id quantity plan { ...Named } }
}

fragment Named on Plan {
  id
  interval
  intervalCount
  usageType
  product { name(locale: $locale) unitLabel(locale: $locale) addon }
  amountFor(quantity: 1) { currency formatted(locale: $locale) }
}

fragment Reduction on Discount {
  name
  percentOff
  amountOff { formatted(locale: $locale) }
  once
  endsAt
}`;

/** What each period of a subscription costs, for a quantity that is known only when the account is. */
export const COST = `query Cost($quantity: Int!, $locale: String!) {
  viewer { subscriptions { id plan { amountFor(quantity: $quantity) { formatted(locale: $locale) } } } }
}`;

/** What renewals come to. Asked for apart, because Stripe computes it. */
export const RENEWALS = `query Renewals($locale: String!) {
  viewer {
    subscriptions {
      id
      dueAtRenewal { formatted(locale: $locale) }
      pendingChange { dueAtRenewal { formatted(locale: $locale) } }
    }
  }
}`;

export const PLANS = `query Plans($locale: String!, $currency: Currency) {
  pricing(currency: $currency) {
    currency
    products {
      product { id name(locale: $locale) unitLabel(locale: $locale) addon }
      plans {
        id
        interval
        intervalCount
        usageType
        minQuantity
        maxQuantity
        viewer { action subscriptionId }
        amountFor(quantity: 1) { formatted(locale: $locale) }
        price { tiers { upTo } transformQuantity { divideBy } }
      }
    }
  }
}`;

export const QUOTE_CHANGE = `query QuoteChange(
  $subscriptionId: ID!
  $items: [SubscriptionItemChangeInput!]
  $when: ChangeTime
  $locale: String!
) {
  viewer {
    quoteChange(subscriptionId: $subscriptionId, items: $items, when: $when) {
      preview {
        when
        at
        dueNow { formatted(locale: $locale) }
        credit { amount formatted(locale: $locale) }
        dueAtRenewal { formatted(locale: $locale) }
        renewsAt
        prorationDate
        lines { id description amount { formatted(locale: $locale) } }
      }
      userErrors { code text(locale: $locale) }
    }
  }
}`;

export const CHANGE_SUBSCRIPTION = `mutation ChangeSubscription($input: ChangeSubscriptionInput!, $locale: String!) {
  changeSubscription(input: $input) {
    subscription { id plan { id } }
    invoice { amountDue { amount formatted(locale: $locale) } }
    userErrors { code text(locale: $locale) }
  }
}`;

export const CANCEL_PENDING_CHANGE = `mutation CancelPendingChange($input: CancelPendingChangeInput!, $locale: String!) {
  cancelPendingChange(input: $input) {
    subscription { id pendingChange { at } }
    userErrors { code text(locale: $locale) }
  }
}`;

export const CANCEL_SUBSCRIPTION = `mutation CancelSubscription($input: CancelSubscriptionInput!, $locale: String!) {
  cancelSubscription(input: $input) {
    subscription { id status cancelAt }
    userErrors { code text(locale: $locale) }
  }
}`;

export const PAUSE_SUBSCRIPTION = `mutation PauseSubscription($input: PauseSubscriptionInput!, $locale: String!) {
  pauseSubscription(input: $input) {
    subscription { id paused pausedUntil }
    userErrors { code text(locale: $locale) }
  }
}`;

export const RESUME_SUBSCRIPTION = `mutation ResumeSubscription($input: ResumeSubscriptionInput!, $locale: String!) {
  resumeSubscription(input: $input) {
    subscription { id status cancelAt }
    userErrors { code text(locale: $locale) }
  }
}`;

export const APPLY_PROMOTION_CODE = `mutation ApplyPromotionCode($input: ApplyPromotionCodeInput!, $locale: String!) {
  applyPromotionCode(input: $input) {
    subscription { id }
    userErrors { code text(locale: $locale) }
  }
}`;

export const ACCEPT_RETENTION_OFFER = `mutation AcceptOffer($input: AcceptRetentionOfferInput!, $locale: String!) {
  acceptRetentionOffer(input: $input) {
    subscription { id }
    userErrors { code text(locale: $locale) }
  }
}`;

export const CREATE_PORTAL_SESSION = `mutation CreatePortalSession($input: CreatePortalSessionInput!, $locale: String!) {
  createPortalSession(input: $input) {
    url
    userErrors { code text(locale: $locale) }
  }
}`;
