// "Your plan": what the customer has, until when, and what he may do with it.

import { attempt, button, labelled, problemPlace } from "../core/actions.js";
import { bdi, h, web } from "../core/dom.js";
import { adverb, periodOf } from "../core/periods.js";
import { cancelForm } from "./cancel.js";
import { changeForm } from "./change.js";
import { codeForm, writtenDiscount } from "./discounts.js";
import { besides, mainItem, named, quantified } from "./names.js";
import { pauseForm } from "./pause.js";
import { writtenMethod } from "./payment-method.js";
import { portalButton } from "./portal.js";
import { CANCEL_PENDING_CHANGE, COST, RENEWALS, RESUME_SUBSCRIPTION } from "../documents/account.js";

/**
 * The plan first, and after it what is paid by use beside it.
 *
 * @param {import("../core/ui.js").Ui} ui
 * @param {any} viewer
 * @param {(notice: string) => Promise<void>} done shows the page anew
 */
export function planPanels(ui, { subscription: counting, subscriptions: all, paymentMethod, invoices }, done) {
  if (!counting) return emptyPanel(ui);
  const [subscription, ...subscriptions] = [counting, ...all].map((each) => ({ ...each, ...mainItem(each), id: each.id }));
  const others = subscriptions.filter(({ id, endedAt }) => !endedAt && id !== subscription.id);
  const byUse = ({ plan }) => Number(plan?.usageType === "METERED");
  const unpaid = ({ id, confirmation }) =>
    confirmation ? undefined : invoices.nodes.find(({ status, subscriptionId }) => status === "OPEN" && subscriptionId === id);
  return [subscription, ...others]
    .sort((one, other) => byUse(one) - byUse(other))
    .map((each, place) => planPanel(ui, each, { paymentMethod, unpaid: unpaid(each), place, done }));
}

const emptyPanel = (ui) =>
  h(
    "section",
    { class: "tile wide", part: "tile", "data-testid": "plan" },
    h("h2", {}, ui.text("plan.none")),
    h("p", {}, ui.text("plan.choose")),
    h("div", { class: "row" }, toPlans(ui, "plan.see")),
  );

/** The way to the pricing page, where the element knows one. */
function toPlans(ui, name) {
  const href = web(ui.host.getAttribute("plans-url"));
  return href && h("a", { class: "button", part: "button", href }, ui.text(name));
}

function planPanel(ui, subscription, { paymentMethod, unpaid, place, done }) {
  const { status, access, pendingChange } = subscription;
  const reason = status === "PAUSED" && unpaid ? "PAST_DUE" : access.reason; // it goes on once that is paid
  const title = `plan-title-${place}`;
  const problem = problemPlace();
  const work = h("div", { class: "work" });
  const panel = h(
    "section",
    { class: "tile wide", part: "tile", "data-testid": place === 0 ? "plan" : "beside", "aria-labelledby": title },
    h("p", { class: "eyebrow" }, ui.text(place === 0 ? "plan.yours" : "plan.beside")),
    h(
      "h2",
      { id: title },
      h("bdi", { "data-testid": "plan-name" }, quantified(ui, subscription)),
      " ",
      h("span", { class: access.allowed ? "state" : "state bad", "data-testid": "status" }, state(ui, subscription)),
    ),
    reason in ALARMS && alarm(ui, { ...access, reason }, unpaid),
    subscription.confirmation && question(ui, subscription.confirmation),
    h(
      "dl",
      {},
      labelled(ui.text("plan.price"), priceOf(ui, subscription), "price"),
      besides(subscription).map((item) => labelled(ui.text("plan.addon"), bdi(quantified(ui, item)), "addon")),
      subscription.discounts.map((each) => labelled(ui.text("discount.title"), writtenDiscount(ui, each), "discount")),
      labelled(...next(ui, subscription), "until"),
      paymentMethod && labelled(ui.text("plan.paidWith"), writtenMethod(ui, paymentMethod), "payment-method"),
      pendingChange && labelled(...planned(ui, subscription), "pending-change"),
    ),
    h("div", { class: "row" }, actions(ui, subscription, { work, problem, done, hasDebt: Boolean(unpaid) })),
    problem,
    work,
  );
  addRenewal(ui, panel, subscription).catch(console.warn);
  const wish = new URLSearchParams(location.search);
  if (place === 0 && (wish.has("change") || wish.has("addon"))) panel.querySelector("[data-testid=change]")?.click();
  return panel;
}

function state(ui, { status, paused, willCancel }) {
  if (paused) return ui.text("status.PAUSED");
  return ui.text(willCancel && status !== "CANCELED" ? "plan.ending" : `status.${status}`);
}

/** What the customer must hear, and whether paying the open invoice puts it right. */
const ALARMS = { GRACE_PERIOD: true, PAST_DUE: true, UNPAID: true, INCOMPLETE: true, PAID_BACK: false };

function alarm(ui, { reason, until }, unpaid) {
  const pays = ALARMS[reason] && web(unpaid?.hostedInvoiceUrl);
  return h(
    "div",
    { class: "alarm", part: "alarm", role: "alert" },
    h("p", {}, ui.text(`plan.alarm.${reason}`, { day: until ? ui.day(until) : "" })),
    ALARMS[reason] &&
      h(
        "div",
        { class: "row" },
        pays &&
          h(
            "a",
            { class: "button", href: pays, "data-testid": "pay-invoice" },
            ui.text("plan.payNow", { amount: unpaid.amountRemaining.formatted }),
          ),
        portalButton(ui, "PAYMENT_METHOD_UPDATE"),
      ),
  );
}

/** What the bank wants to be asked, and the way to Stripe's page that asks it. */
function question(ui, { url, amount, items, expiresAt }) {
  const href = web(url);
  const said = { amount: amount.formatted, plan: together(ui, items), day: ui.day(expiresAt) };
  return h(
    "div",
    { class: "alarm", part: "alarm", role: "alert", "data-testid": "confirmation" },
    h("p", {}, ui.text("plan.bankAsks", said)),
    href && h("div", { class: "row" }, h("a", { class: "button", href, "data-testid": "ask-bank" }, ui.text("plan.askBank"))),
  );
}

/** What each period costs. The API knows it for one unit; for more it is asked, and filled in when it answers. */
function priceOf(ui, { id, plan, quantity }) {
  const written = (amount) =>
    amount ? ui.text("plan.amount", { amount, billed: adverb(ui, periodOf(plan)) }) : ui.text("plan.byUse");
  const cell = h("span", {}, written(plan?.amountFor?.formatted));
  if (plan && quantity > 1)
    ui.send(COST, { quantity: Number(quantity) }).then((data) => {
      const found = data.viewer?.subscriptions.find((each) => each.id === id);
      cell.textContent = written(found?.plan?.amountFor?.formatted);
    }, console.warn);
  return cell;
}

/** What happens next, and when. */
function next(ui, { status, paused, pausedUntil, willCancel, cancelAt, trialEnd, currentPeriodEnd, access }) {
  if (status === "CANCELED") return [ui.text("plan.accessUntil"), access.until ? ui.day(access.until) : ui.text("plan.over")];
  if (paused) return [ui.text("plan.pausedUntil"), pausedUntil ? ui.day(pausedUntil) : ui.text("plan.youResume")];
  if (willCancel) return [ui.text("plan.ends"), ui.day(cancelAt)];
  if (status === "TRIALING") return [ui.text("plan.trialEnds"), ui.day(trialEnd)];
  return [ui.text("plan.renews"), ui.day(currentPeriodEnd)];
}

/** What is planned, in words. */
const planned = (ui, { pendingChange: { at, items } }) => [ui.text("plan.from", { day: ui.day(at) }), together(ui, items)];

const together = (ui, items) =>
  items.map(({ plan, quantity }) => (plan ? named(ui, plan, quantity) : ui.text("plan.another"))).join(" + ");

/** Adds what the renewal comes to, where that is not just the price: Stripe computes it, and the page does not wait. */
async function addRenewal(ui, panel, { id, items, discounts, pendingChange, willCancel, paused }) {
  if (willCancel || paused || !(discounts.length || pendingChange || items.length > 1)) return;
  const data = await ui.send(RENEWALS, {});
  const found = data.viewer?.subscriptions.find((each) => each.id === id);
  const add = (testid, due) => due && panel.querySelector(`[data-testid=${testid}]`)?.append(` · ${due.formatted}`);
  add("until", found?.dueAtRenewal);
  add("pending-change", found?.pendingChange?.dueAtRenewal);
}

/**
 * The buttons. Who owes something pays first; who is paused or leaves takes the plan up again first. What the seller has
 * planned stays, but who wants to leave sooner may.
 */
function actions(ui, subscription, { work, problem, done, hasDebt }) {
  const { status, plan, willCancel, cancelAt, currentPeriodEnd, paused, pendingChange, confirmation, plannedBySeller } =
    subscription;
  if (status === "CANCELED") return toPlans(ui, "plan.chooseAnother");
  const open = (form) => (event) => {
    const opener = event.currentTarget;
    const close = () => {
      work.replaceChildren();
      opener.focus();
    };
    work.replaceChildren(form(ui, subscription, { done, close }));
    work.querySelector("h3").focus();
  };
  const quiet = "button quiet";
  const runs = !willCancel && !paused;
  const isSettled = ["ACTIVE", "TRIALING"].includes(status) && !hasDebt;
  const isFree = runs && isSettled && !plannedBySeller;
  const canChange = isFree && plan?.usageType !== "METERED";
  const canUndo = confirmation || (pendingChange && !plannedBySeller);
  const canResume = paused ? !(status === "PAUSED" && hasDebt) : willCancel && !plannedBySeller;
  const once = (document, notice) => (event) =>
    attempt(event.currentTarget, ui.text("frame.moment"), problem, async () => {
      await ui.mutate(document, { subscriptionId: subscription.id });
      await done(ui.text(notice));
    });
  const resume = once(RESUME_SUBSCRIPTION, "plan.goesOn");
  const undo = once(CANCEL_PENDING_CHANGE, "plan.stays");
  const keep = ui.text("plan.keepThis", { plan: plan?.product.name ?? "" });
  return [
    canChange && button(ui.text("plan.change"), "change", open(changeForm)),
    canUndo && button(keep, "undo-change", undo, quiet),
    canResume && button(ui.text(willCancel ? "plan.keep" : "plan.resume"), "resume", resume),
    isFree && button(ui.text("discount.enter"), "code", open(codeForm), quiet),
    canChange && button(ui.text("plan.pause"), "pause", open(pauseForm), quiet),
    !(willCancel && cancelAt <= currentPeriodEnd) && button(ui.text("plan.cancel"), "cancel", open(cancelForm), quiet),
    portalButton(ui, "OVERVIEW"),
  ];
}
