// What the shop asks the public GraphQL API.

export const PRICING = `query Pricing($currency: Currency, $country: String, $locale: String!) {
  pricing(currency: $currency, country: $country) {
    currency
    currencyChoice
    currencies
    products {
      product {
        id
        name(locale: $locale)
        description(locale: $locale)
        features(locale: $locale)
        unitLabel(locale: $locale)
        callToAction(locale: $locale)
        highlighted
        addon
      }
      plans {
        id
        nickname(locale: $locale)
        interval
        intervalCount
        trialPeriodDays
        usageType
        minQuantity
        maxQuantity
        savingPercent
        features { key name(locale: $locale) limit perUnit }
        monthlyEquivalent { formatted(locale: $locale) }
        amountFor(quantity: 1) { amount formatted(locale: $locale) }
        viewer { action reasonText(locale: $locale) trialDays }
        price { ...Cost tiersMode tiers { upTo flatAmount { ...Amount } unitAmount { ...Amount } unitAmountDecimal } }
      }
      oneTime { id nickname(locale: $locale) ...Cost }
    }
  }
  viewer { subscription { id quantity status } }
}

fragment Cost on Price {
  unitAmount { ...Amount }
  unitAmountDecimal
  customAmount
  taxText(locale: $locale)
  transformQuantity { divideBy }
}

fragment Amount on Money {
  amount
  currency
  decimal
  formatted(locale: $locale)
}`;

export const CREATE_CHECKOUT_SESSION = `mutation CreateCheckoutSession($input: CreateCheckoutSessionInput!, $locale: String!) {
  createCheckoutSession(input: $input) {
    session { id url }
    userErrors { code text(locale: $locale) }
  }
}`;

export const START_SUBSCRIPTION = `mutation StartSubscription($input: StartSubscriptionInput!, $locale: String!) {
  startSubscription(input: $input) {
    subscription { id }
    userErrors { code text(locale: $locale) }
  }
}`;

export const SESSION = `query Session($id: ID!, $locale: String!) {
  session(id: $id) {
    id
    status
    paymentStatus
    mode
    url
    amountTotal { formatted(locale: $locale) }
    lineItems { description quantity }
    subscription {
      id
      status
      quantity
      trialEnd
      currentPeriodEnd
      plan { interval intervalCount }
    }
  }
}`;

export const SESSION_UPDATED = `subscription SessionUpdated($id: ID!) {
  sessionUpdated(id: $id) {
    status
    paymentStatus
    subscription { status }
  }
}`;
