// Written by `python -m gateway.web.generate` from schema.graphql and src/documents/: do not edit.

/** @type {import("../client/client.js").Document<import("../types.js").TotalsQuery, import("../types.js").TotalsQueryVariables>} */
export const TOTALS = {
  id: "3b6d67a63e13132f63b752c680104ebf2527c07c85baa6c046eb5fa53f6cc5b7",
  get: true,
  text: "query Totals($productId:ID!$currency:Currency!$quantity:Int!$locale:String!){plans(productId:$productId currency:$currency){nodes{id amountFor(quantity:$quantity){formatted(locale:$locale)}}}}",
};
