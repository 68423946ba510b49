// Writes the TypeScript types of a schema and of operations, as GraphQL Code Generator makes them with our options.
//
// node codegen.mjs <schema.graphql> <operations.graphql> <folder>
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { codegen } from "@graphql-codegen/core";
import * as typescript from "@graphql-codegen/typescript";
import * as typescriptOperations from "@graphql-codegen/typescript-operations";
import { parse } from "graphql";
import { config } from "../../gateway/web/src/codegen.js";

const [schema, operations, folder] = process.argv.slice(2);
for (const [name, plugin] of Object.entries({ schema: typescript, operations: typescriptOperations })) {
  const filename = join(folder, `${name}.ts`);
  const document = parse(readFileSync(operations, "utf8"));
  const text = await codegen({
    filename,
    schema: parse(readFileSync(schema, "utf8")),
    documents: [{ location: operations, document }],
    plugins: [{ [name]: {} }],
    pluginMap: { [name]: plugin },
    config,
  });
  writeFileSync(filename, text);
}
