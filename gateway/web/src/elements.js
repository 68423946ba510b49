// All elements: `import { configure } from "billing-gateway-web/elements"`, or the gateway's own `/elements.js`.

export { Client } from "./client/client.js";
export { follow } from "./client/live.js";
export { configure } from "./core/base.js";
export { PricingTable } from "./table/pricing-table.js";
export { Account } from "./account/account.js";
export { CheckoutStatus } from "./status/checkout-status.js";
export { AccessGate, accessTo } from "./access/access.js";
