// Written by `python -m gateway.web.generate` from schema.graphql and src/documents/: do not edit.

/** @type {import("../client/client.js").Document<import("../types.js").SessionQuery, import("../types.js").SessionQueryVariables>} */
export const SESSION = {
  id: "5970c061ddafae01ed6b2645431048107afa9ba79a637a02558ba7e5ca3098af",
  text: "query Session($id:ID!$locale:String!){session(id:$id){id status paymentStatus mode url amountTotal{formatted(locale:$locale)}lineItems{description quantity}subscription{id status quantity trialEnd currentPeriodEnd plan{interval intervalCount}}}}",
};

/** @type {import("../client/client.js").Document<import("../types.js").SessionUpdatedSubscription, import("../types.js").SessionUpdatedSubscriptionVariables>} */
export const SESSION_UPDATED = {
  id: "139555b4568a1256bf4dff1b34ec1df3fc559a0078028db0b9bf1018b2561cea",
  text: "subscription SessionUpdated($id:ID!){sessionUpdated(id:$id){status paymentStatus subscription{status}}}",
};
