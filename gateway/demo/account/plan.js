// "Your plan": what the customer has, until when, and what he may do with it.

import { attempt, button, labelled, mutate, problemPlace } from "../common/actions.js";
import { send } from "../common/api.js";
import { h } from "../common/dom.js";
import { day, locale, text } from "../common/language.js";
import { adverb, periodOf } from "../common/periods.js";
import { cancelForm } from "./cancel.js";
import { changeForm } from "./change.js";
import { codeForm, writtenDiscount } from "./discounts.js";
import { besides, mainItem, named, quantified } from "./names.js";
import { pauseForm } from "./pause.js";
import { writtenMethod } from "./payment_method.js";
import { portalButton } from "./portal.js";
import { CANCEL_PENDING_CHANGE, COST, RENEWALS, RESUME_SUBSCRIPTION } from "./queries.js";

/**
 * The plan first, and after it what is paid by use beside it.
 *
 * @param {object} viewer
 * @param {(notice: string) => Promise<void>} done shows the page anew
 */
export function planPanels({ subscription: counting, subscriptions: all, paymentMethod, invoices }, done) {
  if (!counting) return emptyPanel();
  const [subscription, ...subscriptions] = [counting, ...all].map((each) => ({ ...each, ...mainItem(each), id: each.id }));
  const others = subscriptions.filter(({ id, endedAt }) => !endedAt && id !== subscription.id);
  const byUse = ({ plan }) => Number(plan?.usageType === "METERED");
  const unpaid = ({ id }) =>
    invoices.nodes.find(({ status, subscriptionId }) => status === "OPEN" && subscriptionId === id);
  return [subscription, ...others]
    .sort((one, other) => byUse(one) - byUse(other))
    .map((each, place) => planPanel(each, { paymentMethod, unpaid: unpaid(each), place, done }));
}

const emptyPanel = () =>
  h(
    "section",
    { class: "tile wide", "data-testid": "plan" },
    h("h2", {}, text("plan.none")),
    h("p", {}, text("plan.choose")),
    h("div", { class: "row" }, h("a", { class: "button", href: "/demo" }, text("plan.see"))),
  );

function planPanel(subscription, { paymentMethod, unpaid, place, done }) {
  const { access, pendingChange } = subscription;
  const title = `plan-title-${place}`;
  const problem = problemPlace();
  const work = h("div", { class: "work" });
  const panel = h(
    "section",
    { class: "tile wide", "data-testid": place === 0 ? "plan" : "beside", "aria-labelledby": title },
    h("p", { class: "eyebrow" }, text(place === 0 ? "plan.yours" : "plan.beside")),
    h(
      "h2",
      { id: title },
      h("span", { "data-testid": "plan-name" }, quantified(subscription)),
      " ",
      h("span", { class: access.allowed ? "state" : "state bad", "data-testid": "status" }, state(subscription)),
    ),
    access.reason in ALARMS && alarm(access, unpaid),
    h(
      "dl",
      {},
      labelled(text("plan.price"), cost(subscription), "price"),
      besides(subscription).map((item) => labelled(text("plan.addon"), quantified(item), "addon")),
      subscription.discounts.map((each) => labelled(text("discount.title"), writtenDiscount(each), "discount")),
      labelled(...next(subscription), "until"),
      paymentMethod && labelled(text("plan.paidWith"), writtenMethod(paymentMethod), "payment-method"),
      pendingChange && labelled(...planned(subscription), "pending-change"),
    ),
    h("div", { class: "row" }, actions(subscription, { work, problem, done, hasDebt: Boolean(unpaid) })),
    problem,
    work,
  );
  addRenewal(panel, subscription).catch(console.warn);
  const wish = new URLSearchParams(location.search);
  if (place === 0 && (wish.has("change") || wish.has("addon"))) panel.querySelector("[data-testid=change]")?.click();
  return panel;
}

function state({ status, paused, willCancel }) {
  if (paused) return text("status.PAUSED");
  return text(willCancel && status !== "CANCELED" ? "plan.ending" : `status.${status}`);
}

/** What the customer must hear, and whether paying the open invoice mends it. */
const ALARMS = { GRACE_PERIOD: true, PAST_DUE: true, UNPAID: true, INCOMPLETE: true, PAID_BACK: false };

function alarm({ reason, until }, unpaid) {
  const pays = ALARMS[reason] && unpaid?.hostedInvoiceUrl;
  return h(
    "div",
    { class: "alarm", role: "alert" },
    h("p", {}, text(`plan.alarm.${reason}`, { day: until ? day(until) : "" })),
    ALARMS[reason] &&
      h(
        "div",
        { class: "row" },
        pays &&
          h(
            "a",
            { class: "button", href: pays, "data-testid": "pay-invoice" },
            text("plan.payNow", { amount: unpaid.amountRemaining.formatted }),
          ),
        portalButton("PAYMENT_METHOD_UPDATE"),
      ),
  );
}

/** What each period costs. The API knows it for one unit; for more it is asked, and filled in when it answers. */
function cost({ id, plan, quantity }) {
  const written = (amount) =>
    amount ? text("plan.amount", { amount, billed: adverb(periodOf(plan)) }) : text("plan.byUse");
  const cell = h("span", {}, written(plan?.amountFor?.formatted));
  if (plan && quantity > 1)
    send(COST, { quantity: Number(quantity), locale }).then(({ data }) => {
      const found = data.viewer.subscriptions.find((each) => each.id === id);
      cell.textContent = written(found?.plan?.amountFor?.formatted);
    }, console.warn);
  return cell;
}

/** What happens next, and when. */
function next({ status, paused, pausedUntil, willCancel, cancelAt, trialEnd, currentPeriodEnd, access }) {
  if (status === "CANCELED") return [text("plan.accessUntil"), access.until ? day(access.until) : text("plan.over")];
  if (paused) return [text("plan.pausedUntil"), pausedUntil ? day(pausedUntil) : text("plan.youResume")];
  if (willCancel) return [text("plan.ends"), day(cancelAt)];
  if (status === "TRIALING") return [text("plan.trialEnds"), day(trialEnd)];
  return [text("plan.renews"), day(currentPeriodEnd)];
}

/** What is planned, in words. */
const planned = ({ pendingChange: { at, items } }) => [
  text("plan.from", { day: day(at) }),
  items.map(({ plan, quantity }) => (plan ? named(plan, quantity) : text("plan.another"))).join(" + "),
];

/** Adds what the renewal comes to, where that is not just the price: Stripe computes it, and the page does not wait. */
async function addRenewal(panel, { id, items, discounts, pendingChange, willCancel, paused }) {
  if (willCancel || paused || !(discounts.length || pendingChange || items.length > 1)) return;
  const { data } = await send(RENEWALS, { locale });
  const found = data.viewer.subscriptions.find((each) => each.id === id);
  const add = (testid, due) => due && panel.querySelector(`[data-testid=${testid}]`)?.append(` · ${due.formatted}`);
  add("until", found?.dueAtRenewal);
  add("pending-change", found?.pendingChange?.dueAtRenewal);
}

/** The buttons. Who owes something pays first; who is paused or leaves takes the plan up again first. */
function actions(subscription, { work, problem, done, hasDebt }) {
  const { status, plan, willCancel, paused, pendingChange } = subscription;
  if (status === "CANCELED") return h("a", { class: "button", href: "/demo" }, text("plan.chooseAnother"));
  const open = (form) => (event) => {
    const opener = event.currentTarget;
    const close = () => {
      work.replaceChildren();
      opener.focus();
    };
    work.replaceChildren(form(subscription, { done, close }));
    work.querySelector("h3").focus();
  };
  const quiet = "button quiet";
  const runs = !willCancel && !paused;
  const isSettled = ["ACTIVE", "TRIALING"].includes(status) && !hasDebt;
  const canChange = runs && isSettled && plan?.usageType !== "METERED";
  const once = (document, field, notice) => (event) =>
    attempt(event.currentTarget, text("frame.moment"), problem, async () => {
      await mutate(document, field, { subscriptionId: subscription.id });
      await done(text(notice));
    });
  const resume = once(RESUME_SUBSCRIPTION, "resumeSubscription", "plan.goesOn");
  const undo = once(CANCEL_PENDING_CHANGE, "cancelPendingChange", "plan.stays");
  const keep = text("plan.keepThis", { plan: plan?.product.name ?? "" });
  return [
    canChange && button(text("plan.change"), "change", open(changeForm)),
    pendingChange && button(keep, "undo-change", undo, quiet),
    !runs && button(text(willCancel ? "plan.keep" : "plan.resume"), "resume", resume),
    runs && isSettled && button(text("discount.enter"), "code", open(codeForm), quiet),
    canChange && button(text("plan.pause"), "pause", open(pauseForm), quiet),
    !willCancel && button(text("plan.cancel"), "cancel", open(cancelForm), quiet),
    portalButton("OVERVIEW"),
  ];
}
