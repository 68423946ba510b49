// Written by `python -m gateway.web.generate` from schema.graphql and src/documents/: do not edit.

/** @type {import("../client/client.js").Document<import("../types.js").CreateCheckoutSessionMutation, import("../types.js").CreateCheckoutSessionMutationVariables>} */
export const CREATE_CHECKOUT_SESSION = {
  id: "0dd879f110d6a67fda82a98745af6a191b938f5cf635baeaaccd6c60e1b8ea30",
  text: "mutation CreateCheckoutSession($input:CreateCheckoutSessionInput!$locale:String!){createCheckoutSession(input:$input){session{id url}userErrors{code message field text(locale:$locale)}}}",
};

/** @type {import("../client/client.js").Document<import("../types.js").StartSubscriptionMutation, import("../types.js").StartSubscriptionMutationVariables>} */
export const START_SUBSCRIPTION = {
  id: "c4ac42996d6dd74c58f9d77562b0ecbddd260522cdcf7954dc33d45009d9c052",
  text: "mutation StartSubscription($input:StartSubscriptionInput!$locale:String!){startSubscription(input:$input){subscription{id}userErrors{code message field text(locale:$locale)}}}",
};
