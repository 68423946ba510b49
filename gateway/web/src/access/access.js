// <billing-access feature="…">: shows what is in it to who may use the feature. It hides and does not protect: what must
// not be seen or done is refused by the application's own back end.

import { follow } from "../client/live.js";
import { BillingElement, define } from "../core/base.js";
import { h } from "../core/dom.js";
import { ACCESS_TO, ACCESS_TO_UPDATED } from "../documents/access.js";

/** @typedef {import("../types.js").AccessToQuery["viewer"]} Asked */
/** @typedef {NonNullable<Asked>["accessTo"][number]["access"]} Access */

/** The features that elements ask for at the same time, by their client: they become one question. */
const asked = new WeakMap();

/**
 * Asks whether a feature may be used.
 *
 * @param {import("../client/client.js").Client} client
 * @param {string} feature
 * @returns {Promise<import("../client/client.js").Result<Access | null>>}
 */
export function accessTo(client, feature) {
  const { origin } = client;
  let batch = asked.get(origin);
  if (!batch || batch.features.size >= LIMIT) {
    const features = new Set();
    batch = { features, answer: Promise.resolve().then(() => ask(client, features)) };
    asked.set(origin, batch);
  }
  batch.features.add(feature);
  return batch.answer.then((result) => {
    if (!result.ok) return result;
    const decisions = result.data.viewer?.accessTo ?? [];
    return { ok: true, data: decisions.find((each) => each.feature === feature)?.access ?? null };
  });
}

const LIMIT = 100; // what the API takes

function ask(client, features) {
  asked.delete(client.origin);
  return client.query(ACCESS_TO, { features: [...features] });
}

/**
 * Attributes: `feature`; `live` follows the decision while the page is open. What is in `slot="denied"` is shown to who
 * may not use it. Before the answer, and where there is none, nothing is shown.
 *
 * Events: `billing-access` with the decision (null for who is not signed in), `billing-error`.
 */
export class AccessGate extends BillingElement {
  static observedAttributes = ["feature", "live"];

  _stop = () => {};

  /** @param {import("../core/ui.js").Ui} ui @param {() => boolean} isCurrent */
  async load(ui, isCurrent) {
    this.stop();
    const feature = this.getAttribute("feature");
    if (!feature) return this._show();
    const result = await accessTo(ui.client, feature);
    if (!isCurrent()) return;
    if (!result.ok) {
      const isGuest = result.failure.code === "UNAUTHENTICATED";
      this._decide(ui, isGuest ? null : undefined);
      ui.emit("billing-error", result.failure);
      return;
    }
    this._decide(ui, result.data);
    if (result.data && this.hasAttribute("live"))
      this._stop = follow(ui.client, ACCESS_TO_UPDATED, { features: [feature] }, ({ viewerUpdated }) =>
        this._decide(ui, viewerUpdated.accessTo[0].access),
      );
  }

  /** @param {any} access null for a guest, undefined where nobody knows */
  _decide(ui, access) {
    if (access === undefined) return this._show();
    this._show(access?.allowed ? h("slot") : h("slot", { name: "denied" }));
    ui.emit("billing-access", access);
  }

  stop() {
    this._stop();
    this._stop = () => {};
  }
}

define("billing-access", AccessGate);
