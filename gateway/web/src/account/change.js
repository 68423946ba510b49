// A change of plan, seats and add-ons: what is chosen is quoted by Stripe as a whole before it can be confirmed, and charged
// as it was quoted.

import { Refused, attempt, button, newKey, problemPlace } from "../core/actions.js";
import { h } from "../core/dom.js";
import { moveOf } from "../core/moves.js";
import { isCounted, seatCounter } from "../core/seats.js";
import { addonFields } from "./addons.js";
import { mainItem, named } from "./names.js";
import { portalButton } from "./portal.js";
import { CHANGE_SUBSCRIPTION, PLANS, QUOTE_CHANGE } from "../documents/account.js";
import { quoteOf } from "./quote.js";

const PAYMENT_CODES = ["PAYMENT_FAILED", "PAYMENT_METHOD_NEEDED"];

/**
 * @param {import("../core/ui.js").Ui} ui
 * @param {any} subscription the present one
 * @param {{done: (notice: string) => Promise<void>, close: () => void}} then what follows
 */
export function changeForm(ui, subscription, { done, close }) {
  const body = h("div", { "aria-busy": "true" });
  plansFor(ui, subscription)
    .then(
      (offers) => body.replaceChildren(...choices(ui, subscription, offers, { done, close })),
      (error) => body.replaceChildren(h("p", { class: "problem", role: "alert" }, error.message)),
    )
    .finally(() => body.removeAttribute("aria-busy"));
  return h(
    "form",
    { class: "sheet", "data-testid": "change-form", onsubmit: (event) => event.preventDefault() },
    h("h3", { tabindex: "-1" }, ui.text("change.title")),
    body,
  );
}

/** What this subscription can change to, and have beside it; each plan with its product. */
async function plansFor(ui, { id, plan }) {
  const currency = plan?.amountFor?.currency ?? null;
  const data = await ui.send(PLANS, { currency });
  /** @type {any[]} */
  const offers = data.pricing.products
    .flatMap(({ product, plans }) => plans.map((each) => ({ ...each, product, currency: data.pricing.currency })))
    .filter(({ viewer, usageType }) => viewer && usageType === "LICENSED");
  const addons = offers.filter(
    ({ product, viewer }) => product.addon && (viewer.action === "SUBSCRIBE" || viewer.subscriptionId === id),
  );
  const plans = offers
    .filter(({ product, viewer }) => !product.addon && viewer.subscriptionId === id && GROUPS.includes(viewer.action))
    .filter((each) => each.id !== plan?.id || addons.length || isCounted(each, each.product));
  return { plans, addons };
}

/** What may be chosen, in this order. */
const GROUPS = ["CURRENT", "SCHEDULED", "UPGRADE", "DOWNGRADE", "SWITCH"];

function choices(ui, subscription, { plans, addons }, { done, close }) {
  if (!plans.length)
    return [h("p", {}, ui.text("change.none")), button(ui.text("frame.back"), "close", close, "button quiet")];
  const wish = takeWish();
  const select = h(
    "select",
    { name: "plan", "data-testid": "new-plan", autocomplete: "off" },
    options(ui, plans, Number(subscription.quantity ?? 1)),
  );
  if (plans.some(({ id }) => id === wish.planId)) select.value = wish.planId;
  const chosen = () => plans.find(({ id }) => id === select.value);
  const place = h("div", {});
  const beside = h("div", {});
  const quote = h("div", { class: "quote", "aria-live": "polite", "data-testid": "quote" });
  /** @type {ReturnType<typeof seatCounter> | null} */
  let seats = null;
  /** @type {ReturnType<typeof addonFields> | null} */
  let extras = null;
  let turn = 0;

  /** Shows a number of seats where the plan has one: the present number, or what was wished. */
  function count() {
    const plan = chosen();
    const start = wish.quantity ?? Number(subscription.quantity ?? 1);
    seats = isCounted(plan, plan.product) ? seatCounter(ui, plan.product, plan, plan.currency, start) : null;
    seats?.input.addEventListener("change", () => ask());
    place.replaceChildren(...(seats ? [h("p", { class: "label" }, ui.text("change.seats")), seats.element] : []));
    extras = addonFields(ui, addons, subscription.items, plan, { wished: wish.addon, onchange: () => ask() });
    beside.replaceChildren(...(extras.element ? [extras.element] : []));
  }

  /** What is to change, as entries of a change; null while a number is wrong. */
  function wanted() {
    if (seats && !seats.input.reportValidity()) return null;
    const item = mainItem(subscription);
    const plan = { priceId: select.value, quantity: seats ? seats.input.valueAsNumber : 1 };
    const isSame = plan.priceId === item.plan?.id && plan.quantity === Number(item.quantity ?? 1);
    const changes = extras?.changes() ?? null;
    return changes && [...(isSame ? [] : [{ set: { itemId: item.id, ...plan } }]), ...changes];
  }

  /** Asks what the choice costs; an answer that a newer choice has overtaken is dropped. */
  async function ask(when = "AUTOMATIC") {
    const mine = ++turn;
    const items = wanted();
    if (!items) return;
    if (!items.length)
      return quote.replaceChildren(h("p", {}, ui.text("change.same")), h("div", { class: "row" }, back()));
    try {
      const data = await ui.send(QUOTE_CHANGE, { subscriptionId: subscription.id, to: { items }, when });
      const { preview = null, userErrors: [problem] = [] } = data.viewer?.quoteChange ?? {};
      if (problem) throw new Refused({ ...problem, message: problem.text, problems: [problem] });
      if (mine !== turn) return;
      offer(preview, items);
      if (when !== "AUTOMATIC") quote.querySelector(":checked").focus(); // it was chosen there, and is drawn anew
    } catch (error) {
      const words = h("p", { class: "problem", role: "alert" }, error.message);
      if (mine === turn) quote.replaceChildren(words, h("div", { class: "row" }, back()));
    }
  }

  const back = () => button(ui.text("frame.back"), "close", close, "button quiet");
  const confirmation = ({ set }) =>
    set?.itemId && set.priceId
      ? ui.text("change.confirm", { plan: named(ui, chosen(), set.quantity) })
      : ui.text("change.confirmAddons");

  /** What it costs, and the button that charges just that: the quote's own date goes back with it. */
  function offer(preview, items) {
    const problem = problemPlace();
    const terms = { when: preview.when, prorationDate: preview.prorationDate };
    let idempotencyKey = newKey();
    const remedy = h("div", { class: "row" });
    const confirm = async ({ currentTarget }) => {
      remedy.replaceChildren();
      const failure = await attempt(currentTarget, ui.text("change.changing"), problem, async () => {
        const input = { subscriptionId: subscription.id, to: { items }, ...terms, idempotencyKey };
        await done(outcome(ui, preview, await ui.mutate(CHANGE_SUBSCRIPTION, input)));
      });
      if (!failure?.codes?.length) return; // with the same key, as long as nobody knows what became of it
      idempotencyKey = newKey(); // what was refused under a key stays refused under it
      if (failure.codes.some((code) => PAYMENT_CODES.includes(code)))
        remedy.replaceChildren(...portalButton(ui, "PAYMENT_METHOD_UPDATE"));
    };
    quote.replaceChildren(
      ...quoteOf(ui, preview, subscription, ask),
      h(
        "div",
        { class: "row" },
        button(confirmation(items[0]), "confirm-change", confirm),
        back(),
      ),
      problem,
      remedy,
    );
  }

  select.addEventListener("change", () => {
    count();
    ask();
  });
  count();
  ask();
  return [h("div", { class: "fields" }, h("label", {}, ui.text("change.plan"), select), place), beside, quote];
}

function outcome(ui, { when, at }, { subscription, invoice }) {
  if (subscription.confirmation) return ui.text("change.bankAsks");
  if (when === "AT_PERIOD_END") return ui.text("change.later", { day: ui.day(at) });
  const paid = invoice?.amountDue.amount;
  return paid ? ui.text("change.paid", { amount: invoice.amountDue.formatted }) : ui.text("change.done");
}

/** What the button of a pricing table asked for, once. */
function takeWish() {
  const address = new URL(location.href);
  const [planId, addon, quantity] = ["change", "addon", "quantity"].map((name) => address.searchParams.get(name));
  if (!planId && !addon) return { planId, addon, quantity: null };
  for (const name of ["change", "addon", "quantity"]) address.searchParams.delete(name);
  history.replaceState(history.state, "", address);
  return { planId, addon, quantity: Number(quantity) || null };
}

function options(ui, plans, quantity) {
  const price = ({ amountFor, product, price }) =>
    amountFor ? ` · ${amountFor.formatted}${isCounted({ usageType: "LICENSED", price }, product) ? " +" : ""}` : "";
  const group = (action) => plans.filter((plan) => moveOf(plan, plan.product, quantity) === action);
  return GROUPS.filter((action) => group(action).length).map((action) =>
    h(
      "optgroup",
      { label: ui.text(`action.${action}`) },
      group(action).map((plan) => h("option", { value: plan.id }, `${named(ui, plan, 1)}${price(plan)}`)),
    ),
  );
}
