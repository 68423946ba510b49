// Written by `python -m gateway.web.generate` from schema.graphql and src/documents/: do not edit.

/** @type {import("../client/client.js").Document<import("../types.js").PricingQuery, import("../types.js").PricingQueryVariables>} */
export const PRICING = {
  id: "7640e7334eb7f53c9ee09a08baa53a8a735b24eb339bcb470cafb7ac78fc65d8",
  get: true,
  text: "query Pricing($currency:Currency$country:String$locale:String!){pricing(currency:$currency country:$country){...Page products{...Shelf plans{...Offer}}}}fragment Offer on Plan{id nickname(locale:$locale)interval intervalCount trialPeriodDays usageType minQuantity maxQuantity savingPercent features{key name(locale:$locale)limit perUnit}monthlyEquivalent{formatted(locale:$locale)}amountFor(quantity:1){amount formatted(locale:$locale)}price{...Cost tiersMode tiers{upTo flatAmount{...Amount}unitAmount{...Amount}unitAmountDecimal}}}fragment Page on Pricing{currency currencyChoice currencies}fragment Shelf on PricedProduct{product{id name(locale:$locale)description(locale:$locale)features(locale:$locale)unitLabel(locale:$locale)callToAction(locale:$locale)highlighted addon}oneTime{id nickname(locale:$locale)...Cost}}fragment Cost on Price{unitAmount{...Amount}unitAmountDecimal customAmount taxText(locale:$locale)transformQuantity{divideBy}}fragment Amount on Money{amount currency decimal formatted(locale:$locale)}",
};

/** @type {import("../client/client.js").Document<import("../types.js").PricingForViewerQuery, import("../types.js").PricingForViewerQueryVariables>} */
export const PRICING_FOR_VIEWER = {
  id: "1b31e80cd9ad942aa4f9b1c085b09e6d820b4dcdb8d43cd8e4b38dcc3d732798",
  text: "query PricingForViewer($currency:Currency$country:String$locale:String!){pricing(currency:$currency country:$country){...Page products{...Shelf plans{...Offer viewer{action reasonText(locale:$locale)trialDays}}}}viewer{subscription{id quantity status}}}fragment Offer on Plan{id nickname(locale:$locale)interval intervalCount trialPeriodDays usageType minQuantity maxQuantity savingPercent features{key name(locale:$locale)limit perUnit}monthlyEquivalent{formatted(locale:$locale)}amountFor(quantity:1){amount formatted(locale:$locale)}price{...Cost tiersMode tiers{upTo flatAmount{...Amount}unitAmount{...Amount}unitAmountDecimal}}}fragment Page on Pricing{currency currencyChoice currencies}fragment Shelf on PricedProduct{product{id name(locale:$locale)description(locale:$locale)features(locale:$locale)unitLabel(locale:$locale)callToAction(locale:$locale)highlighted addon}oneTime{id nickname(locale:$locale)...Cost}}fragment Cost on Price{unitAmount{...Amount}unitAmountDecimal customAmount taxText(locale:$locale)transformQuantity{divideBy}}fragment Amount on Money{amount currency decimal formatted(locale:$locale)}",
};
