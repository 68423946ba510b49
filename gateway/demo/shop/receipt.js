// After the checkout: follows the session until it is complete and paid, and says what was bought.

import { button } from "../common/actions.js";
import { follow, send } from "../common/api.js";
import { disclose } from "../common/disclosure.js";
import { h } from "../common/dom.js";
import { day, locale, number, text } from "../common/language.js";
import { adverb, capital, periodOf } from "../common/periods.js";
import { SESSION, SESSION_UPDATED } from "./queries.js";

// Most sessions are complete at the first reading. A bank may need minutes, and the page may stay open for them: then it
// is told of every change, and asks now and then all the same.
const pauseAfter = (reads) => (reads < 10 ? 1_000 : 5_000);

const receipt = document.getElementById("receipt");

/** @param {string} id of the checkout session, which Stripe put into the return address */
export async function showReceipt(id) {
  document.getElementById("pricing").hidden = true;
  receipt.hidden = false;
  show(message("receipt.confirming"));
  const variables = { id, locale };
  let seen;
  let wake = () => {};
  const leave = follow(SESSION_UPDATED, { id }, () => wake());
  for (let reads = 0; ; reads += 1) {
    if (reads > 0)
      await new Promise((resolve) => {
        wake = resolve;
        setTimeout(resolve, pauseAfter(reads));
      });
    try {
      const { data, milliseconds } = await send(SESSION, variables);
      // Shown again only when something changed, so that nothing is read out twice.
      if (JSON.stringify(data) !== seen) {
        seen = JSON.stringify(data);
        show(view(data.session));
        disclose(SESSION, variables, data, milliseconds);
      }
      if (isSettled(data.session)) return leave();
    } catch (error) {
      leave();
      return show(message("receipt.unread", retry(id), { reason: error.message }));
    }
  }
}

const isPaid = ({ paymentStatus }) => paymentStatus !== "UNPAID";

/** Whether reading again cannot show more: a paid subscription may come a moment after its session. */
function isSettled(session) {
  if (session?.status === "COMPLETE")
    return isPaid(session) && (session.mode !== "SUBSCRIPTION" || session.subscription !== null);
  return session?.status !== "OPEN";
}

function view(session) {
  if (!session) return message("receipt.unknown", toShop());
  if (session.status === "EXPIRED") return message("receipt.expired", toShop());
  if (session.status === "OPEN") {
    const resume = session.url && h("a", { class: "button", href: session.url }, text("receipt.continue"));
    return message("receipt.open", resume);
  }
  return isPaid(session) ? confirmation(session) : message("receipt.processing");
}

function confirmation({ amountTotal, lineItems, mode, subscription }) {
  const trial = subscription?.status === "TRIALING" && subscription.trialEnd;
  const bought = lineItems
    .map(({ description, quantity }) => (quantity > 1 ? `${number(quantity)} × ${description}` : description))
    .join(", ");
  const rows = [
    [mode === "SUBSCRIPTION" ? "receipt.plan" : "receipt.bought", bought],
    [trial ? "receipt.chargedToday" : "receipt.paid", amountTotal?.formatted],
    ...(mode === "SUBSCRIPTION" ? subscriptionRows(subscription, trial) : []),
  ].filter(([, value]) => value);
  return h(
    "article",
    { class: "panel", "data-testid": "confirmation" },
    h("div", { class: "tick", "aria-hidden": "true" }, "✓"),
    h("h1", { tabindex: "-1" }, text(trial ? "receipt.trialStarted" : "receipt.worked")),
    h("p", {}, trial ? text("receipt.nothingUntil", { day: day(trial) }) : text("receipt.ready")),
    h(
      "dl",
      {},
      rows.map(([name, value]) => h("div", {}, h("dt", {}, text(name)), h("dd", {}, value))),
    ),
    h(
      "div",
      { class: "actions" },
      toShop(),
      h("a", { href: document.body.dataset.stripeUrl }, text("receipt.dashboard")),
    ),
  );
}

function subscriptionRows(subscription, trial) {
  if (!subscription) return [["receipt.subscription", text("receipt.settingUp")]];
  const { id, status, plan, currentPeriodEnd } = subscription;
  const state = h("span", { class: "state" }, text(`status.${status}`));
  return [
    ["receipt.billed", plan && capital(adverb(periodOf(plan)))],
    [trial ? "receipt.firstPayment" : "receipt.renews", currentPeriodEnd && day(trial || currentPeriodEnd)],
    ["receipt.subscription", h("span", { "data-testid": "subscription" }, state, " ", h("code", {}, id))],
  ];
}

const toShop = () => h("a", { class: "button quiet", href: "/demo" }, text("receipt.back"));
const retry = (id) => button(text("frame.tryAgain"), "try-again", () => showReceipt(id));

/** A title and what it means: the sentences `title` and `text` of that name. */
const message = (name, action, values = {}) =>
  h(
    "article",
    { class: "panel", role: "status" },
    h("h1", { tabindex: "-1" }, text(`${name}.title`)),
    h("p", {}, text(`${name}.text`, values)),
    action && h("div", { class: "actions" }, action),
  );

/** Replaces what is shown and takes the keyboard and the screen reader there. */
function show(panel) {
  receipt.replaceChildren(panel);
  const title = panel.querySelector("h1");
  document.title = `${title.textContent} · ${text("frame.shop")}`;
  title.focus();
}
