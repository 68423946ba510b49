// Entry of the account page: signs in as a sample user, and shows what the gateway says the user has.

import { send } from "./api.js";
import { cancelForm } from "./cancel.js";
import { changeForm } from "./change.js";
import { creditPanel } from "./credits.js";
import { disclose } from "./disclosure.js";
import { h } from "./dom.js";
import { invoiceTable } from "./invoices.js";
import { adverb, periodOf } from "./periods.js";
import { session, signIn, signOut, users } from "./session.js";
import { usagePanel } from "./usage.js";
import {
  CANCEL_PENDING_CHANGE,
  CREATE_PORTAL_SESSION,
  METER,
  PAUSE_SUBSCRIPTION,
  RESUME_SUBSCRIPTION,
  VIEWER,
} from "./viewer.js";
import { attempt, day, labelled, mutate } from "./words.js";

const root = document.getElementById("account");

async function show(notice) {
  if (!session()) return root.replaceChildren(await signInPanel());
  const variables = { locale: navigator.language, meter: METER };
  root.setAttribute("aria-busy", "true");
  try {
    const { data, milliseconds } = await send(VIEWER, variables);
    render(data.viewer, notice);
    disclose(VIEWER, variables, data, milliseconds);
  } catch (error) {
    root.replaceChildren(failure(error));
  } finally {
    root.removeAttribute("aria-busy");
  }
}

async function signInPanel() {
  const enter = (email) => async (event) => {
    await attempt(event.currentTarget, "Signing in…", async () => {
      await signIn(email);
      await show();
    });
  };
  const people = await users();
  return h(
    "article",
    { class: "panel" },
    h("h1", {}, "Sign in"),
    h(
      "p",
      {},
      people.length
        ? "Two people live in this demonstration. No password is needed to be one of them."
        : "This page needs the sign-in of `gateway dev`.",
    ),
    h(
      "div",
      { class: "actions" },
      people.map(({ name, email }) =>
        h(
          "button",
          { type: "button", class: "button", "data-testid": `sign-in-${email}`, onclick: enter(email) },
          name,
        ),
      ),
    ),
    h("p", { class: "problem", role: "alert" }),
  );
}

const failure = (error) => {
  const leave = error.code === "UNAUTHENTICATED";
  if (leave) signOut();
  return h(
    "div",
    { class: "failure", role: "alert" },
    h("h2", {}, "The account could not be loaded"),
    h("p", {}, error.message),
    h("button", { type: "button", class: "button", onclick: () => show() }, leave ? "Sign in again" : "Try again"),
  );
};

function render(viewer, notice) {
  const { user } = session();
  const leave = () => {
    signOut();
    show();
  };
  root.replaceChildren(
    h(
      "header",
      { class: "account-head" },
      h("div", {}, h("h1", {}, "Your account"), h("p", { "data-testid": "who" }, `${user.name} · ${viewer.email}`)),
      h("button", { type: "button", class: "button quiet", "data-testid": "sign-out", onclick: leave }, "Sign out"),
    ),
    h("p", { class: "notice", role: "status", "data-testid": "notice", hidden: !notice }, notice),
    h(
      "div",
      { class: "account" },
      planPanels(viewer),
      featurePanel(viewer.entitlements),
      creditPanel(viewer.credits),
      usagePanel(viewer.usage, viewer.subscriptions),
      h(
        "section",
        { class: "tile wide", "data-testid": "invoices" },
        h("h2", {}, "Invoices"),
        invoiceTable(viewer.invoices.nodes),
      ),
    ),
  );
}

/** What the customer has: the plan first, and after it what is paid by use beside it. */
function planPanels({ subscription, subscriptions, paymentMethod }) {
  if (!subscription) return emptyPanel();
  const others = subscriptions.filter(({ id, endedAt }) => !endedAt && id !== subscription.id);
  const byUse = ({ plan }) => Number(plan?.usageType === "METERED");
  return [subscription, ...others]
    .sort((one, other) => byUse(one) - byUse(other))
    .map((each, place) => planPanel(each, paymentMethod, place === 0 ? "plan" : "beside"));
}

const emptyPanel = () =>
  h(
    "section",
    { class: "tile wide", "data-testid": "plan" },
    h("h2", {}, "No plan yet"),
    h("p", {}, "Choose one and it appears here."),
    h("div", { class: "row" }, h("a", { class: "button", href: "/demo" }, "See the plans")),
  );

const REASONS = {
  GRACE_PERIOD: "The last payment failed. Please update your payment method.",
  PAST_DUE: "The last payment failed and access has ended. Please update your payment method.",
  UNPAID: "The last payments failed and access has ended.",
  INCOMPLETE: "The first payment has not arrived yet.",
  PAUSED: "Paused. Take your plan up again whenever you like.",
};

function planPanel(subscription, paymentMethod, testId) {
  const { plan, status, quantity, access, willCancel, cancelAt, trialEnd, currentPeriodEnd, pendingChange } =
    subscription;
  const seats = quantity > 1 ? `${quantity} × ` : "";
  const next = subscription.paused
    ? ["Paused until", subscription.pausedUntil]
    : willCancel
      ? ["Ends", cancelAt]
      : status === "TRIALING"
        ? ["Trial ends", trialEnd]
        : ["Renews", currentPeriodEnd];
  const work = h("div", { class: "work" });
  const open = (form) => () =>
    work.replaceChildren(form(subscription, { done: show, close: () => work.replaceChildren() }));
  const over = status === "CANCELED";
  return h(
    "section",
    { class: "tile wide", "data-testid": testId },
    h(
      "h2",
      {},
      h("span", { "data-testid": "plan-name" }, `${seats}${plan?.product.name ?? "A plan of the past"}`),
      " ",
      h(
        "span",
        { class: access.allowed ? "state" : "state bad", "data-testid": "status" },
        status.toLowerCase().replaceAll("_", " "),
      ),
    ),
    access.reason in REASONS && h("p", { class: "problem", role: "alert" }, REASONS[access.reason]),
    h(
      "dl",
      {},
      labelled(
        "Price",
        plan?.amount ? `${plan.amount.formatted} ${adverb(periodOf(plan)).toLowerCase()}` : "By quantity or use",
      ),
      !over && labelled(next[0], next[1] ? day(next[1]) : "you resume", "until"),
      paymentMethod && labelled("Paid with", cardOf(paymentMethod), "payment-method"),
      pendingChange && labelled(`From ${day(pendingChange.at)}`, planned(pendingChange), "pending-change"),
      over && labelled("Access until", access.until ? day(access.until) : "ended", "until"),
    ),
    h(
      "div",
      { class: "row" },
      over && h("a", { class: "button", href: "/demo" }, "Choose a plan"),
      !over &&
        h(
          "button",
          { type: "button", class: "button", "data-testid": "change", onclick: open(changeForm) },
          "Change plan",
        ),
      !over &&
        (willCancel || subscription.paused) &&
        h(
          "button",
          { type: "button", class: "button quiet", "data-testid": "resume", onclick: resume(subscription) },
          willCancel ? "Keep my plan" : "Resume",
        ),
      !over &&
        !willCancel &&
        !subscription.paused &&
        h(
          "button",
          { type: "button", class: "button quiet", "data-testid": "pause", onclick: pause(subscription) },
          "Pause",
        ),
      pendingChange &&
        h(
          "button",
          { type: "button", class: "button quiet", "data-testid": "undo-change", onclick: undo(subscription) },
          `Keep ${plan?.product.name ?? "this plan"}`,
        ),
      !over &&
        !willCancel &&
        h(
          "button",
          { type: "button", class: "button quiet", "data-testid": "cancel", onclick: open(cancelForm) },
          "Cancel",
        ),
      h(
        "button",
        { type: "button", class: "button quiet", "data-testid": "portal", onclick: portal },
        "Billing portal",
      ),
    ),
    h("p", { class: "problem", role: "alert" }),
    work,
  );
}

/** "3 × Starter, yearly" */
const planned = ({ plan, quantity }) =>
  plan
    ? `${quantity > 1 ? `${quantity} × ` : ""}${plan.product.name}, ${adverb(periodOf(plan)).toLowerCase()}`
    : "Another plan";

const undo =
  ({ id }) =>
  ({ currentTarget }) =>
    attempt(currentTarget, "One moment…", async () => {
      await mutate(CANCEL_PENDING_CHANGE, "cancelPendingChange", { subscriptionId: id });
      await show("Your plan stays as it is.");
    });

const pause =
  ({ id }) =>
  ({ currentTarget }) =>
    attempt(currentTarget, "One moment…", async () => {
      await mutate(PAUSE_SUBSCRIPTION, "pauseSubscription", { subscriptionId: id });
      await show("Your plan is paused. What you have paid for stays yours to its end.");
    });

const resume =
  ({ id }) =>
  ({ currentTarget }) =>
    attempt(currentTarget, "One moment…", async () => {
      await mutate(RESUME_SUBSCRIPTION, "resumeSubscription", { subscriptionId: id });
      await show("Your plan goes on.");
    });

const portal = ({ currentTarget }) =>
  attempt(currentTarget, "Opening…", async () => {
    const { url } = await mutate(CREATE_PORTAL_SESSION, "createPortalSession", { returnUrl: location.href });
    location.assign(url);
  });

const featurePanel = (entitlements) =>
  h(
    "section",
    { class: "tile", "data-testid": "features" },
    h("h2", {}, "What you can use"),
    entitlements.length > 0
      ? h(
          "ul",
          { class: "features" },
          entitlements.map(({ feature, limit }) =>
            h("li", {}, `${feature.replaceAll("_", " ")}${limit === null ? "" : ` (up to ${limit})`}`),
          ),
        )
      : h("p", {}, "Nothing beyond the basics."),
  );

/** "visa •••• 4242, expires 12/2034" */
const cardOf = ({ type, brand, last4, expMonth, expYear }) =>
  `${brand ?? type}${last4 ? ` •••• ${last4}` : ""}${expYear ? `, expires ${expMonth}/${expYear}` : ""}`;

show();
