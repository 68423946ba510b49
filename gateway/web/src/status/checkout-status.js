// <billing-checkout-status>: follows a checkout until it is complete and paid, and says what was bought.

import { follow } from "../client/live.js";
import { button } from "../core/actions.js";
import { BillingElement, define } from "../core/base.js";
import { bdi, h, web } from "../core/dom.js";
import { adverb, capital, periodOf } from "../core/periods.js";
import { SESSION, SESSION_UPDATED } from "../documents/status.js";
import { STATUS } from "./style.js";

// Most sessions are complete at the first reading. A bank may need minutes, and the page may stay open for them: then it
// is told of every change, and asks now and then all the same.
const pauseAfter = (reads) => (reads < 10 ? 1_000 : 5_000);

/**
 * Attributes: `session-id`, else `session_id` in the page's address; without one the element is empty. What stands in
 * the element itself comes after the message, such as a link that leads on.
 *
 * Events: `billing-status` with the `title` of each message, `billing-settled` once nothing more is to come (its detail is
 * the session, or null), `billing-load`, `billing-error`.
 */
export class CheckoutStatus extends BillingElement {
  static styles = STATUS;
  static observedAttributes = ["locale", "session-id"];

  _stop = () => {};

  /** @param {import("../core/ui.js").Ui} ui @param {() => boolean} isCurrent */
  async load(ui, isCurrent) {
    this.stop();
    const id = this.getAttribute("session-id") || new URLSearchParams(location.search).get("session_id");
    if (!id) return this._show();
    await ui.ready();
    this._say(ui, message(ui, "receipt.confirming"));
    let seen;
    let wake = () => {};
    this._stop = follow(ui.client, SESSION_UPDATED, { id }, () => wake());
    for (let reads = 0; isCurrent(); reads += 1) {
      if (reads > 0)
        await new Promise((resolve) => {
          wake = () => resolve(undefined);
          setTimeout(wake, pauseAfter(reads));
        });
      const session = await this._read(ui, id, isCurrent);
      if (!isCurrent() || session === undefined) return;
      // Shown again only when something changed, so that nothing is read out twice.
      if (JSON.stringify(session) !== seen) this._say(ui, view(ui, session));
      seen = JSON.stringify(session);
      if (isSettled(session)) {
        this.stop();
        ui.emit("billing-settled", session);
        return;
      }
    }
  }

  /** The session; nothing where it cannot be read, which is said. */
  async _read(ui, id, isCurrent) {
    try {
      return (await ui.send(SESSION, { id })).session;
    } catch (error) {
      if (!isCurrent()) return undefined;
      this.stop();
      const again = button(ui.text("frame.tryAgain"), "try-again", () => this.reload());
      this._say(ui, message(ui, "receipt.unread", again, { reason: error.message }));
      return undefined;
    }
  }

  /** Replaces what is shown, takes the keyboard and the screen reader there, and tells the page. */
  _say(ui, panel) {
    this._show(panel);
    const title = panel.querySelector("h1");
    title.focus();
    ui.emit("billing-status", { title: title.textContent });
  }

  stop() {
    this._stop();
    this._stop = () => {};
  }
}

const isPaid = ({ paymentStatus }) => paymentStatus !== "UNPAID";

/** Whether reading again cannot show more: a paid subscription may come a moment after its session. */
function isSettled(session) {
  if (session?.status === "COMPLETE")
    return isPaid(session) && (session.mode !== "SUBSCRIPTION" || session.subscription !== null);
  return session?.status !== "OPEN";
}

function view(ui, session) {
  if (!session) return message(ui, "receipt.unknown");
  if (session.status === "EXPIRED") return message(ui, "receipt.expired");
  if (session.status === "OPEN") {
    const href = web(session.url);
    const onward = href && h("a", { class: "button", part: "button", href }, ui.text("receipt.continue"));
    return message(ui, "receipt.open", onward);
  }
  return isPaid(session) ? confirmation(ui, session) : message(ui, "receipt.processing");
}

function confirmation(ui, { amountTotal, lineItems, mode, subscription }) {
  const trial = subscription?.status === "TRIALING" && subscription.trialEnd;
  const bought = lineItems
    .map(({ description, quantity }) => (quantity > 1 ? `${ui.number(quantity)} × ${description}` : description))
    .join(", ");
  const rows = [
    [mode === "SUBSCRIPTION" ? "receipt.plan" : "receipt.bought", bdi(bought)],
    [trial ? "receipt.chargedToday" : "receipt.paid", amountTotal?.formatted],
    ...(mode === "SUBSCRIPTION" ? subscriptionRows(ui, subscription, trial) : []),
  ].filter(([, value]) => value);
  return h(
    "article",
    { class: "panel", part: "panel", "data-testid": "confirmation" },
    h("div", { class: "tick", part: "tick", "aria-hidden": "true" }, "✓"),
    h("h1", { part: "title", tabindex: "-1" }, ui.text(trial ? "receipt.trialStarted" : "receipt.worked")),
    h("p", {}, trial ? ui.text("receipt.nothingUntil", { day: ui.day(trial) }) : ui.text("receipt.ready")),
    h(
      "dl",
      {},
      rows.map(([name, value]) => h("div", {}, h("dt", {}, ui.text(name)), h("dd", {}, value))),
    ),
    h("div", { class: "actions" }, h("slot")),
  );
}

function subscriptionRows(ui, subscription, trial) {
  if (!subscription) return [["receipt.subscription", ui.text("receipt.settingUp")]];
  const { id, status, plan, currentPeriodEnd } = subscription;
  const state = h("span", { class: "state", part: "state" }, ui.text(`status.${status}`));
  return [
    ["receipt.billed", plan && capital(adverb(ui, periodOf(plan)))],
    [trial ? "receipt.firstPayment" : "receipt.renews", currentPeriodEnd && ui.day(trial || currentPeriodEnd)],
    ["receipt.subscription", h("span", { "data-testid": "subscription" }, state, " ", h("code", {}, id))],
  ];
}

/** A title and what it means: the sentences `title` and `text` of that name. */
const message = (ui, name, action = null, values = {}) =>
  h(
    "article",
    { class: "panel", part: "panel", role: "status" },
    h("h1", { part: "title", tabindex: "-1" }, ui.text(`${name}.title`)),
    h("p", {}, ui.text(`${name}.text`, values)),
    h("div", { class: "actions" }, action, h("slot")),
  );

define("billing-checkout-status", CheckoutStatus);
