// Written by `python -m gateway.web.generate` from schema.graphql and src/documents/: do not edit.

/** @type {import("../client/client.js").Document<import("../types.js").CreatePortalSessionMutation, import("../types.js").CreatePortalSessionMutationVariables>} */
export const CREATE_PORTAL_SESSION = {
  id: "1d252efb05cdabd5233e9af2a7fabd3841d3fc5dc8e173cbe05d2d59cc4b56d6",
  text: "mutation CreatePortalSession($input:CreatePortalSessionInput!$locale:String!){createPortalSession(input:$input){url userErrors{code message field text(locale:$locale)}}}",
};
