// What the shop asks the public GraphQL API.

export const PRICING = `query Pricing($currency: Currency, $country: String, $locale: String!) {
  pricing(currency: $currency, country: $country) {
    currency
    currencyChoice
    currencies
    products {
      product { id name description features unitLabel highlighted callToAction }
      plans {
        id
        nickname
        interval
        intervalCount
        trialPeriodDays
        usageType
        minQuantity
        maxQuantity
        savingPercent
        features { key name limit perUnit }
        monthlyEquivalent { formatted(locale: $locale) }
        amountFor(quantity: 1) { formatted(locale: $locale) }
        viewer { action reason trialDays }
        price { ...Cost tiersMode tiers { upTo flatAmount { ...Amount } unitAmount { ...Amount } unitAmountDecimal } }
      }
      oneTime { id nickname ...Cost }
    }
  }
  viewer { subscription { id quantity } }
}

fragment Cost on Price {
  unitAmount { ...Amount }
  unitAmountDecimal
  customAmount
  transformQuantity { divideBy }
}

fragment Amount on Money {
  amount
  currency
  decimal
  formatted(locale: $locale)
}`;

export const CREATE_CHECKOUT_SESSION = `mutation CreateCheckoutSession($input: CreateCheckoutSessionInput!) {
  createCheckoutSession(input: $input) {
    session { id url }
    userErrors { code message field }
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
      plan { nickname interval intervalCount product { name unitLabel } amount { formatted(locale: $locale) } }
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
