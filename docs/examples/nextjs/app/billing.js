import { createClient } from "billing-gateway-web";

const { BILLING_URL: url = "http://127.0.0.1:8000", GATEWAY_SERVICE_TOKEN: token } = process.env;

export const billing = createClient({ url, token: () => token });
export const userOf = (request) => request.headers.get("X-User"); // who has signed in: your own way to know

/** Whether a user may use a feature; yes while the gateway is away. */
export const allowed = (user, feature) =>
  fetch(`${url}/access/${encodeURIComponent(user)}/${feature}`, {
    headers: { Authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(250),
  }).then(({ status }) => status === 200 || status >= 500, () => true);
