// For GraphQL Code Generator: `import { scalars, schema } from "billing-gateway-web/codegen"`.

/**
 * What the schema's scalars are in TypeScript. An ID is a text, counts and amounts are whole numbers within 2^53, a
 * time is a text as in RFC 3339.
 */
export const scalars = { ID: "string", BigInt: "number", Currency: "string", DateTime: "string", MinorUnits: "number" };

/** Where the schema of this version is. */
export const schema = decodeURIComponent(new URL("../schema.graphql", import.meta.url).pathname).replace(/^\/(?=\w:)/, "");

/** The options of `typescript`, `typescript-operations` and the `client` preset. */
export const config = { scalars, strictScalars: true, enumsAsTypes: true, useTypeImports: true };
