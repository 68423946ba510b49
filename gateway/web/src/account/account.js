// <billing-account>: what the signed-in user has, and what can be done with it.

import { BillingElement, define } from "../core/base.js";
import { h } from "../core/dom.js";
import { follow } from "../client/live.js";
import { VIEWER, VIEWER_UPDATED } from "../documents/account.js";
import { creditPanel } from "./credits.js";
import { featurePanel } from "./features.js";
import { invoicePanel } from "./invoices.js";
import { planPanels } from "./plan.js";
import { ACCOUNT } from "./style.js";
import { usagePanel } from "./usage.js";

/**
 * Attributes: `plans-url` is where plans are sold; `meter` is the event name of a meter whose count is shown.
 * What stands in the element itself is shown to who is not signed in, such as a link to the sign-in.
 *
 * Events: `billing-done` after a change (its detail has the notice), `billing-load`, `billing-error`.
 */
export class Account extends BillingElement {
  static styles = ACCOUNT;
  static observedAttributes = ["locale", "plans-url", "meter"];

  _stop = () => {};
  _signed = null;
  /** What was done last; a change that is heard of meanwhile does not take it away. */
  _notice = "";

  /** @param {import("../core/ui.js").Ui} ui @param {() => boolean} isCurrent */
  async load(ui, isCurrent) {
    if (!this.shadowRoot?.firstElementChild) this._show(h("div", { class: "tile skeleton", "aria-busy": "true" }));
    const meter = this.getAttribute("meter");
    const asked = { meter: meter ?? "", isMetered: Boolean(meter) };
    const [data] = await Promise.all([this._ask(ui, asked), ui.ready()]);
    if (!isCurrent()) return;
    if (!data.viewer) {
      this._notice = "";
      return this._show(h("slot", { "data-testid": "signed-out" }));
    }
    this._render(ui, data.viewer);
    this._follow(ui);
  }

  /** Who is no longer signed in sees what guests see. */
  async _ask(ui, asked) {
    try {
      return await ui.send(VIEWER, asked);
    } catch (error) {
      if (error.failure?.code !== "UNAUTHENTICATED") throw error;
      return { viewer: null };
    }
  }

  _render(ui, viewer) {
    const notice = this._notice;
    const isRead = this.shadowRoot?.querySelector(".notice")?.textContent === notice;
    const done = async (words) => {
      if (!ui.emit("billing-done", { notice: words })) return;
      this._notice = words;
      await this.reload();
    };
    const words = h(
      "p",
      { class: "notice done", part: "notice", role: "status", tabindex: "-1", "data-testid": "notice" },
      notice,
    );
    this._show(
      h(
        "div",
        {},
        notice && words,
        h(
          "div",
          { class: "account", part: "account" },
          planPanels(ui, viewer, done),
          featurePanel(ui, viewer.entitlements, viewer.subscriptions),
          creditPanel(ui, viewer.credits, viewer.creditKinds),
          usagePanel(ui, viewer.usage, viewer.subscriptions),
          invoicePanel(ui, viewer.invoices.nodes),
        ),
      ),
    );
    if (notice && !isRead) words.focus();
  }

  /** Shows what changes elsewhere, but not under the hands of who fills in a form. */
  _follow(ui) {
    this.stop();
    let isFirst = true;
    this._stop = follow(ui.client, VIEWER_UPDATED, {}, () => {
      if (!isFirst && !this.shadowRoot?.querySelector("form")) this.reload();
      isFirst = false;
    });
  }

  stop() {
    this._stop();
    this._stop = () => {};
  }
}

define("billing-account", Account);
