// A client for the page's own use: it speaks the buyer's language also where there is no answer.

import { Client } from "./client.js";
import { FAILURES } from "./failures.js";

/**
 * Makes a client.
 *
 * @param {import("./client.js").Options} [options]
 */
export function createClient(options = {}) {
  const language = (options.locale ?? globalThis.navigator?.language ?? "en").split("-")[0].toLowerCase();
  return new Client({ sentences: FAILURES[language] ?? FAILURES.en, ...options });
}
