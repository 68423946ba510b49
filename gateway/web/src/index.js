// The client: `import { createClient } from "billing-gateway-web"`.

export { createClient } from "./client/create.js";
export { Client } from "./client/client.js";
export { follow } from "./client/live.js";
