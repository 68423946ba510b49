// Written by `python -m gateway.web.generate` from schema.graphql and src/documents/: do not edit.

/** @type {import("../client/client.js").Document<import("../types.js").AccessToQuery, import("../types.js").AccessToQueryVariables>} */
export const ACCESS_TO = {
  id: "9c27c87f29c11d9351bf50889da727f78f9481c2dfa0ad54eba9b6510113ec7f",
  text: "query AccessTo($features:[String!]!){viewer{accessTo(features:$features){...Decision}}}fragment Decision on FeatureAccess{feature access{allowed reason until limit}}",
};

/** @type {import("../client/client.js").Document<import("../types.js").AccessToUpdatedSubscription, import("../types.js").AccessToUpdatedSubscriptionVariables>} */
export const ACCESS_TO_UPDATED = {
  id: "43d65d939624a1f65f449e0fb03db4379814dc6db4bd386e796e56ad127bc34d",
  text: "subscription AccessToUpdated($features:[String!]!){viewerUpdated{accessTo(features:$features){...Decision}}}fragment Decision on FeatureAccess{feature access{allowed reason until limit}}",
};
