// For back ends in JavaScript: `import { createBackend, verifyWebhook } from "billing-gateway-web/server"`.

import { Client } from "./client/client.js";
import { CONSUME } from "./documents/use.js";

/** How old or early a message may be, in seconds, as the specification of Standard Webhooks proposes. */
const TOLERANCE = 300;

/** How often, in milliseconds, it is said at most that the gateway is away. */
const BETWEEN_WARNINGS = 60_000;

/** @typedef {{ id: string, type: string, timestamp: string, data: Record<string, any> }} Message */

/** @typedef {Headers | Record<string, string | string[] | undefined>} GivenHeaders */

/**
 * Returns the message of a request: one that the gateway has signed, now. Throws otherwise; answer 400 then.
 *
 * @param {string | Uint8Array} body exactly what came
 * @param {GivenHeaders} headers of the request
 * @param {...string} secrets `whsec_…`; while one is rotated, both
 * @returns {Promise<Message>}
 */
export async function verifyWebhook(body, headers, ...secrets) {
  const [id, timestamp, signatures] = ["id", "timestamp", "signature"].map((name) => header(headers, `webhook-${name}`));
  const encoder = new TextEncoder();
  const bytes = typeof body === "string" ? encoder.encode(body) : body;
  const signed = new Uint8Array([...encoder.encode(`${id}.${timestamp}.`), ...bytes]);
  const given = signatures.split(" ").filter((each) => each.startsWith("v1,"));
  const tried = secrets.flatMap((secret) => given.map((each) => isOf(secret, each.slice(3), signed)));
  if (!id || !(await Promise.all(tried)).includes(true)) {
    throw new Error("the signature is wrong: check the secret, and that the body is as it came");
  }
  if (!/^\d+$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE) {
    throw new Error("the message is too old, or this machine's clock is wrong");
  }
  return { id, ...JSON.parse(new TextDecoder().decode(bytes)) };
}

/**
 * @param {GivenHeaders} headers
 * @param {string} name
 */
const header = (headers, name) => String((headers instanceof Headers ? headers.get(name) : headers[name]) ?? "");

/** @param {string} text base64; what is none is nothing */
function decoded(text) {
  try {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}

/**
 * Says whether a signature is a secret's, in a time that does not depend on how much of it is right.
 *
 * @param {string} secret
 * @param {string} signature
 * @param {Uint8Array<ArrayBuffer>} signed
 */
async function isOf(secret, signature, signed) {
  const bytes = decoded(secret.replace(/^whsec_/, ""));
  if (!bytes.length) throw new Error("a webhook secret is whsec_ and some base64"); // an empty key lets everybody sign
  const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  return crypto.subtle.verify("HMAC", key, decoded(signature), signed);
}

/** What the gateway has decided; nothing where another program has answered, as behind a wrong address. */
function decisionOf(text) {
  try {
    return JSON.parse(text)?.allowed;
  } catch {
    return null;
  }
}

/** A client with a token of `GATEWAY_SERVICE_TOKEN`, which may act for every user. */
class Backend extends Client {
  _warned = -BETWEEN_WARNINGS;

  /**
   * Says whether a user may use a feature: the gateway's decision, and `otherwise` while it is away.
   *
   * @param {string} user
   * @param {string} feature
   * @param {{ otherwise?: boolean, milliseconds?: number }} [options]
   */
  async allowed(user, feature, { otherwise = true, milliseconds = 250 } = {}) {
    const path = [user, feature].map(encodeURIComponent).join("/");
    const headers = { Authorization: `Bearer ${await this.token(false)}` };
    const options = { headers, signal: AbortSignal.timeout(milliseconds) };
    const { status, text } = await this._send(`${this.url}access/${path}`, options)
      .then(async (answer) => ({ status: answer.status, text: await answer.text() }))
      .catch(() => ({ status: 503, text: "" }));
    const allowed = decisionOf(text);
    if (typeof allowed === "boolean") return allowed;
    if (status === 429 || status >= 500) {
      this._warn(otherwise);
      return otherwise;
    }
    throw new Error(`the gateway answers ${status} to ${path}: check its address, the token and the feature's name`);
  }

  /** Says that nobody could say: a wrong address would let everybody in unnoticed. */
  _warn(otherwise) {
    if (performance.now() - this._warned < BETWEEN_WARNINGS) return;
    this._warned = performance.now();
    console.warn(`${otherwise ? "everybody is let in" : "nobody is let in"}: the gateway at ${this.url} does not answer`);
  }

  /**
   * Counts a use if it may be made; LIMIT_REACHED is a failure. Under the same key it is counted once.
   *
   * @param {string} user
   * @param {string} feature
   * @param {number} amount
   * @param {string} [key] your own id of the piece of work; left out, each call is another one
   */
  async consume(user, feature, amount, key = crypto.randomUUID()) {
    const result = await this.mutate(CONSUME, { externalId: user, feature, amount, idempotencyKey: key });
    return result.ok ? { ok: true, data: result.data.count } : result;
  }
}

/**
 * Makes a client for a back end.
 *
 * @param {{ url: string, token: string, fetch?: typeof fetch }} options the gateway's address and a service token
 */
export function createBackend({ url, token, ...options }) {
  if (!url) throw new Error("createBackend needs the url of the gateway, such as http://127.0.0.1:8000");
  return new Backend({ url, ...options, token: () => token });
}
