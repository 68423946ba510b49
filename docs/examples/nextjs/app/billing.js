import { createBackend } from "billing-gateway-web/server";

const { BILLING_URL: url = "http://127.0.0.1:8000", GATEWAY_SERVICE_TOKEN: token } = process.env;

export const billing = createBackend({ url, token });
export const userOf = (request) => request.headers.get("X-User"); // who has signed in: your own way to know
