// Prints what both providers of OpenFeature for JavaScript make of the gateway's answers.
// Usage: node flags.mjs URL SERVICE_TOKEN USER USER_TOKEN
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature as Server } from "@openfeature/server-sdk";
import { OpenFeature as Page } from "@openfeature/web-sdk";

const [baseUrl, service, user, token] = process.argv.slice(2);
const shown = ({ value, reason, variant, errorCode, flagMetadata }) => ({ value, reason, variant, errorCode, why: flagMetadata?.reason });

await Server.setProviderAndWait(new OFREPProvider({ baseUrl, headers: [["Authorization", `Bearer ${service}`]] }));
const server = Server.getClient();
const context = { targetingKey: user };
const found = { server: {}, page: {} };
for (const key of ["boards", "sso", "nothing"]) {
  found.server[key] = shown(await server.getBooleanDetails(key, true, context));
}
found.server.nobody = shown(await server.getBooleanDetails("boards", false, {}));

await Page.setContext(context);
await Page.setProviderAndWait(
  new OFREPWebProvider({ baseUrl, pollInterval: 0, headers: [["Authorization", `Bearer ${token}`]] }),
);
const page = Page.getClient();
for (const key of ["boards", "sso"]) {
  found.page[key] = shown(page.getBooleanDetails(key, true));
}
console.log(JSON.stringify(found));
process.exit(0);
