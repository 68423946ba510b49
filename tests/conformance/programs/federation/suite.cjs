// Runs tests of Apollo's compatibility suite for subgraphs against the gateway, with the gateway's names for the suite's.
//
// node suite.cjs <url of /graphql> <token of the back end> <JSON: customer, product>
//
// The suite composes by `rover`, a program that npm does not have, and asks for a graph of its own invention. So its files
// are read, its names are changed into ours where it asks for them, and each of its tests says whether it held.
const { readFileSync, writeFileSync } = require("node:fs");
const { dirname, join } = require("node:path");
const { expect } = require("expect");

const [url, service, json] = process.argv.slice(2);
const { customer, product } = JSON.parse(json);
const dist = join(dirname(require.resolve("@apollo/federation-subgraph-compatibility-tests/package.json")), "dist");

const single = [
  ["User(@extends", "Product(@extends"],
  ["...on User { email name }", "...on Product { id name }"],
  ["__typename: 'User', email: 'support@apollographql.com'", `__typename: 'Product', id: '${product}'`],
  ["email: 'support@apollographql.com'", `id: '${product}'`],
  ["Jane Smith", "Pro"],
  ['fields:"email"', 'fields:"id"'],
];
const repeatable = [
  ["type Product.*", "type Customer.*"],
  ['fields:"sku package"( resolvable:true)?\\).*variation', 'fields:"externalId"( resolvable:true)?\\).*\\{'],
  ['fields:"sku variation { id }"', 'fields:"id"'],
  ["...on Product { id sku }", "...on Customer { id externalId }"],
  ["__typename: 'Product',\n", "__typename: 'Customer',\n"],
  ["sku: 'federation',\n                        package: '@apollo/federation'", "externalId: 'ada'"],
  ["sku: 'studio',\n                        variation: { id: 'platform' }", "externalId: 'ada'"],
  ["'apollo-federation'", `'${customer}'`],
  ["'apollo-studio'", `'${customer}'`],
  ["sku: 'federation'", "externalId: 'ada'"],
  ["sku: 'studio'", "externalId: 'ada'"],
];
const files = {
  link: [],
  ftv1: [],
  key: [...single, ...repeatable],
  shareable: [["type ProductDimension(", "type PageInfo("]],
};

renamed(join(dist, "utils/client.js"), [
  ["http://localhost:4001/", url],
  ["accept: 'application/json',", `accept: 'application/json', authorization: 'Bearer ${service}',`],
]);
const tests = [];
let group = "";
globalThis.expect = expect;
globalThis.test = globalThis.it = (name, run) => tests.push({ name: group ? `${group}: ${name}` : name, run });
globalThis.describe = (name, declare) => ((group = name), declare(), (group = ""));
for (const [name, names] of Object.entries(files)) require(renamed(join(dist, `tests/${name}.test.js`), names));

(async () => {
  const found = {};
  for (const { name, run } of tests) found[name] = await run().then(() => "holds", (error) => `${error.message}`);
  console.log(JSON.stringify(found));
})();

/** Writes a file of the suite anew, from what it was at first; a name that it no longer has is an error. */
function renamed(path, names) {
  let text;
  try {
    text = readFileSync(`${path}.original`, "utf8");
  } catch {
    writeFileSync(`${path}.original`, (text = readFileSync(path, "utf8")));
  }
  for (const [theirs, ours] of names) {
    if (!text.includes(theirs)) throw new Error(`${path} has no ${theirs}`);
    text = text.replaceAll(theirs, ours);
  }
  writeFileSync(path, text);
  return path;
}
