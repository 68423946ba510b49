// Written by `python -m gateway.web.generate` from schema.graphql and src/documents/: do not edit.

/** @type {import("../client/client.js").Document<import("../types.js").ConsumeMutation, import("../types.js").ConsumeMutationVariables>} */
export const CONSUME = {
  id: "10e7989473c24032213cf71ec73dd85c5e75f440d637c6343b55e8098f9cb907",
  text: "mutation Consume($input:ConsumeInput!$locale:String!){consume(input:$input){count{used limit remaining resetsAt}userErrors{code message field text(locale:$locale)}}}",
};
