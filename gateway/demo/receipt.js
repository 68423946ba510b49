// After the checkout: follows the session until it is complete and paid, and says what was bought.

import { SESSION, SESSION_UPDATED, follow, send } from "./api.js";
import { disclose } from "./disclosure.js";
import { h } from "./dom.js";
import { adverb, periodOf } from "./periods.js";

// Most sessions are complete at the first reading. A bank may need minutes, and the page may stay open for them: then it
// is told of every change, and asks now and then all the same.
const pauseAfter = (reads) => (reads < 10 ? 1_000 : 5_000);

const receipt = document.getElementById("receipt");
const date = (text) => new Intl.DateTimeFormat(navigator.language, { dateStyle: "long" }).format(new Date(text));

/** @param {string} id of the checkout session, which Stripe put into the return address */
export async function showReceipt(id) {
  document.getElementById("pricing").hidden = true;
  receipt.hidden = false;
  show(message("Confirming your payment…", "This takes a moment."));
  const variables = { id, locale: navigator.language };
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
      return show(message("We could not read your order", `${error.message} Your payment is not affected.`, retry(id)));
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
  if (!session)
    return message(
      "We do not know this order",
      "The address may be incomplete. Nothing was charged by looking.",
      toShop(),
    );
  if (session.status === "EXPIRED")
    return message("This checkout has expired", "Nothing was charged. Please choose again.", toShop());
  if (session.status === "OPEN") {
    const resume = session.url && h("a", { class: "button", href: session.url }, "Continue the checkout");
    return message("Your payment is not finished yet", "The checkout is still open and waits for you.", resume);
  }
  if (!isPaid(session))
    return message("Your payment is being processed", "Your bank needs a little longer. This page follows it.");
  return confirmation(session);
}

function confirmation({ amountTotal, lineItems, mode, subscription }) {
  const trial = subscription?.status === "TRIALING" && subscription.trialEnd;
  const bought = lineItems
    .map(({ description, quantity }) => (quantity > 1 ? `${quantity} × ${description}` : description))
    .join(", ");
  const rows = [
    [mode === "SUBSCRIPTION" ? "Plan" : "You bought", bought],
    [trial ? "Charged today" : "Paid", amountTotal?.formatted],
    ...(mode === "SUBSCRIPTION" ? subscriptionRows(subscription, trial) : []),
  ];
  return h(
    "article",
    { class: "panel", "data-testid": "confirmation" },
    h("div", { class: "tick", "aria-hidden": "true" }, "✓"),
    h("h1", { tabindex: "-1" }, trial ? "Your trial has started" : "Thank you, that worked"),
    h(
      "p",
      {},
      trial ? `Nothing to pay until ${date(trial)}.` : "Your payment arrived and everything is ready for you.",
    ),
    h(
      "dl",
      {},
      rows.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    ),
    h(
      "div",
      { class: "actions" },
      toShop(),
      h("a", { href: document.body.dataset.stripeUrl }, "See it in Stripe’s dashboard"),
    ),
  );
}

function subscriptionRows(subscription, trial) {
  if (!subscription) return [["Subscription", "Being set up…"]];
  const { id, status, plan, currentPeriodEnd } = subscription;
  const state = h("span", { class: "state" }, status.toLowerCase().replaceAll("_", " "));
  return [
    ["Billed", plan && adverb(periodOf(plan))],
    [trial ? "First payment" : "Renews", currentPeriodEnd && date(trial || currentPeriodEnd)],
    ["Subscription", h("span", { "data-testid": "subscription" }, state, " ", h("code", {}, id))],
  ];
}

const toShop = () => h("a", { class: "button quiet", href: "/demo" }, "Back to the shop");
const retry = (id) => h("button", { type: "button", class: "button", onclick: () => showReceipt(id) }, "Try again");

const message = (title, text, action) =>
  h(
    "article",
    { class: "panel", role: "status" },
    h("h1", { tabindex: "-1" }, title),
    h("p", {}, text),
    action && h("div", { class: "actions" }, action),
  );

/** Replaces what is shown and takes the keyboard and the screen reader there. */
function show(panel) {
  receipt.replaceChildren(panel);
  const title = panel.querySelector("h1");
  document.title = `${title.textContent} · Demo shop`;
  title.focus();
}
