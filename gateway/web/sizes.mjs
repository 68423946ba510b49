// What each entry of the package weighs in an application's own build: bundled, minified and compressed. `npm run sizes`
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const entries = ["index", "elements", "elements/pricing-table", "elements/account", "elements/checkout-status", "elements/access", "react", "server"];
const sizes = {};
for (const entry of entries) {
  const options = { bundle: true, minify: true, format: "esm", write: false, external: ["react"] };
  const { outputFiles } = await build({ ...options, entryPoints: [new URL(`src/${entry}.js`, import.meta.url).pathname] });
  sizes[entry] = gzipSync(outputFiles[0].contents).length;
}
console.log(JSON.stringify(sizes, null, 2));
