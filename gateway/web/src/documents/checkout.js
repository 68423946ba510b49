// Written by `python -m gateway.web.generate` from schema.graphql and src/documents/: do not edit.

/** @type {import("../client/client.js").Document<import("../types.js").CreateCheckoutSessionMutation, import("../types.js").CreateCheckoutSessionMutationVariables>} */
export const CREATE_CHECKOUT_SESSION = {
  id: "0dd879f110d6a67fda82a98745af6a191b938f5cf635baeaaccd6c60e1b8ea30",
  text: "mutation CreateCheckoutSession($input:CreateCheckoutSessionInput!$locale:String!){createCheckoutSession(input:$input){session{id url}userErrors{code message field text(locale:$locale)}}}",
};
