// What the account page asks the public GraphQL API.

/** The event name of the sample catalogue's meter. */
export const METER = "api_calls";

export const VIEWER = `query Viewer($locale: String!, $meter: String!) {
  viewer {
    email
    subscription { ...Standing }
    subscriptions {
      ...Standing
      items { plan { usageType product { unitLabel } features { key name } } }
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
  pendingChange { at quantity plan { product { name unitLabel } interval intervalCount } }
  plan {
    id
    interval
    intervalCount
    usageType
    product { name unitLabel }
    amountFor(quantity: 1) { currency formatted(locale: $locale) }
  }
}`;

/** What each period of a subscription costs, for a quantity that is known only when the account is. */
export const COST = `query Cost($quantity: Int!, $locale: String!) {
  viewer { subscriptions { id plan { amountFor(quantity: $quantity) { formatted(locale: $locale) } } } }
}`;

/** Asked for apart, because Stripe computes it. */
export const PENDING_COST = `query PendingCost($locale: String!) {
  viewer { subscriptions { id pendingChange { dueAtRenewal { formatted(locale: $locale) } } } }
}`;

export const PLANS = `query Plans($locale: String!, $currency: Currency) {
  pricing(currency: $currency) {
    currency
    products {
      product { id name unitLabel }
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

export const PREVIEW_CHANGE = `query PreviewChange(
  $subscriptionId: ID!
  $priceId: ID!
  $quantity: Int
  $when: ChangeTime
  $locale: String!
) {
  viewer {
    previewChange(subscriptionId: $subscriptionId, priceId: $priceId, quantity: $quantity, when: $when) {
      when
      at
      dueNow { formatted(locale: $locale) }
      credit { amount formatted(locale: $locale) }
      dueAtRenewal { formatted(locale: $locale) }
      renewsAt
      prorationDate
      lines { id description amount { formatted(locale: $locale) } }
    }
  }
}`;

export const CHANGE_SUBSCRIPTION = `mutation ChangeSubscription($input: ChangeSubscriptionInput!, $locale: String!) {
  changeSubscription(input: $input) {
    subscription { id plan { id } }
    invoice { amountDue { amount formatted(locale: $locale) } }
    userErrors { code message field }
  }
}`;

export const CANCEL_PENDING_CHANGE = `mutation CancelPendingChange($input: CancelPendingChangeInput!) {
  cancelPendingChange(input: $input) {
    subscription { id pendingChange { at } }
    userErrors { code message field }
  }
}`;

export const CANCEL_SUBSCRIPTION = `mutation CancelSubscription($input: CancelSubscriptionInput!) {
  cancelSubscription(input: $input) {
    subscription { id status cancelAt }
    userErrors { code message field }
  }
}`;

export const PAUSE_SUBSCRIPTION = `mutation PauseSubscription($input: PauseSubscriptionInput!) {
  pauseSubscription(input: $input) {
    subscription { id paused pausedUntil }
    userErrors { code message field }
  }
}`;

export const RESUME_SUBSCRIPTION = `mutation ResumeSubscription($input: ResumeSubscriptionInput!) {
  resumeSubscription(input: $input) {
    subscription { id status cancelAt }
    userErrors { code message field }
  }
}`;

export const CREATE_PORTAL_SESSION = `mutation CreatePortalSession($input: CreatePortalSessionInput!) {
  createPortalSession(input: $input) {
    url
    userErrors { code message field }
  }
}`;
