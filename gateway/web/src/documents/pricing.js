// Written by `python -m gateway.web.generate` from schema.graphql and src/documents/: do not edit.

/** @type {import("../client/client.js").Document<import("../types.js").PricingQuery, import("../types.js").PricingQueryVariables>} */
export const PRICING = {
  id: "5e1edb9f1c70bee5b92940950c3218682e7c26ab93f3a6ef170f86201de16bf9",
  get: true,
  text: "query Pricing($currency:Currency$country:String$locale:String!){pricing(currency:$currency country:$country){...Page products{...Shelf plans{...Offer}}}}fragment Page on Pricing{currency currencyChoice currencies}fragment Shelf on PricedProduct{product{id name(locale:$locale)description(locale:$locale)features(locale:$locale)unitLabel(locale:$locale)callToAction(locale:$locale)highlighted}oneTime{id nickname(locale:$locale)...Cost}}fragment Offer on Plan{id nickname(locale:$locale)interval intervalCount trialPeriodDays usageType minQuantity maxQuantity savingPercent features{key name(locale:$locale)limit perUnit}monthlyEquivalent{formatted(locale:$locale)}amountFor(quantity:1){formatted(locale:$locale)}price{...Cost tiersMode tiers{upTo flatAmount{...Amount}unitAmount{...Amount}unitAmountDecimal}}}fragment Cost on Price{unitAmount{...Amount}unitAmountDecimal customAmount taxText(locale:$locale)transformQuantity{divideBy}}fragment Amount on Money{amount currency decimal formatted(locale:$locale)}",
};

/** @type {import("../client/client.js").Document<import("../types.js").PricingForViewerQuery, import("../types.js").PricingForViewerQueryVariables>} */
export const PRICING_FOR_VIEWER = {
  id: "f3bfda90d5faefca4a5e0e93e15f82efe9cf7349be7cc6b1e4792dec3e656545",
  text: "query PricingForViewer($currency:Currency$country:String$locale:String!){pricing(currency:$currency country:$country){...Page products{...Shelf plans{...Offer viewer{action reasonText(locale:$locale)trialDays}}}}viewer{subscription{id quantity}}}fragment Page on Pricing{currency currencyChoice currencies}fragment Shelf on PricedProduct{product{id name(locale:$locale)description(locale:$locale)features(locale:$locale)unitLabel(locale:$locale)callToAction(locale:$locale)highlighted}oneTime{id nickname(locale:$locale)...Cost}}fragment Offer on Plan{id nickname(locale:$locale)interval intervalCount trialPeriodDays usageType minQuantity maxQuantity savingPercent features{key name(locale:$locale)limit perUnit}monthlyEquivalent{formatted(locale:$locale)}amountFor(quantity:1){formatted(locale:$locale)}price{...Cost tiersMode tiers{upTo flatAmount{...Amount}unitAmount{...Amount}unitAmountDecimal}}}fragment Cost on Price{unitAmount{...Amount}unitAmountDecimal customAmount taxText(locale:$locale)transformQuantity{divideBy}}fragment Amount on Money{amount currency decimal formatted(locale:$locale)}",
};
