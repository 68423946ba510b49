// What is on sale, a card each, and the way to it: the checkout, or for who has a plan the account page.

import { attempt, button, problemPlace } from "../core/actions.js";
import { bdi, h, leave, web } from "../core/dom.js";
import { isMove, moveOf } from "../core/moves.js";
import { isCounted, seatCounter } from "../core/seats.js";
import { CREATE_CHECKOUT_SESSION, START_SUBSCRIPTION } from "../documents/checkout.js";
import { billing, headline, limits, onceHeadline, tierTable } from "./prices.js";

/**
 * What all cards share; `checkout` gives a part of CreateCheckoutSessionInput, `quantity` is what the viewer has of his plan,
 * `runs` whether it is in use, `started` follows what was begun without a checkout.
 *
 * @typedef {{currency: string, digits: number, checkout: () => any, quantity: number, runs: boolean, accountUrl: string | null,
 *   started: () => void}} Page
 */

/**
 * @param {import("../core/ui.js").Ui} ui
 * @param {any} product
 * @param {any} plan one of its plans
 * @param {boolean} named whether the plan's own nickname is needed to tell it from the product's other plans
 * @param {Page} page
 */
export function planCard(ui, product, plan, named, page) {
  const trialDays = plan.viewer ? plan.viewer.trialDays : plan.trialPeriodDays;
  const kind = ["card", product.highlighted && "featured", plan.viewer?.action === "CURRENT" && "mine"].filter(Boolean);
  return h(
    "article",
    { class: kind.join(" "), part: kind.join(" "), "data-testid": "plan-card", "data-price-id": plan.id },
    h(
      "header",
      {},
      product.highlighted && h("p", { class: "badge", part: "badge" }, ui.text("shop.popular")),
      h("h3", { part: "name" }, bdi(product.name), named && plan.nickname && [" · ", bdi(plan.nickname)]),
      h("p", { class: "description", part: "description" }, bdi(product.description)),
    ),
    h("div", {}, headline(ui, product, plan, page), billing(ui, plan, trialDays)),
    planOrder(ui, product, plan, trialDays, page),
    h("div", { class: "included" }, features(product), tierTable(ui, product, plan.price, page)),
  );
}

/** A one-off price: paid once, no subscription. */
export function productCard(ui, product, price, page) {
  return h(
    "article",
    { class: "card", part: "card", "data-testid": "product-card", "data-price-id": price.id },
    h(
      "header",
      {},
      h("h3", { part: "name" }, bdi(price.nickname ?? product.name)),
      h("p", { class: "description", part: "description" }, bdi(product.description)),
    ),
    h("div", {}, onceHeadline(ui, price, page), price.customAmountLimits && limits(ui, price.customAmountLimits)),
    h(
      "div",
      { class: "order" },
      buyButton(ui, ui.text("shop.buy"), () => line(price), page),
    ),
    features(product) && h("div", { class: "included" }, features(product)),
  );
}

const features = ({ features }) =>
  features.length > 0 &&
  h(
    "ul",
    { class: "features", part: "features" },
    features.map((name) => h("li", {}, bdi(name))),
  );

const line = ({ id }, quantity = 1) => ({ price: { id }, quantity });

/** What this viewer may do with the plan, below a quantity where it is sold by the unit. */
function planOrder(ui, product, plan, trialDays, page) {
  const action = moveOf(plan, product, page.quantity) ?? "SUBSCRIBE";
  const isOpen = action === "SUBSCRIBE" || isMove(plan);
  const seats = isOpen && isCounted(plan, product) ? seatCounter(ui, product, plan, page.currency, plan.minQuantity) : null;
  const label = trialDays
    ? ui.text("shop.startTrial")
    : (product.callToAction ?? ui.text("shop.choose", { plan: product.name }));
  if (product.addon && action === "SUBSCRIBE" && page.runs && plan.usageType === "LICENSED" && page.accountUrl)
    return h("div", { class: "order" }, onward(ui.text("action.ADD"), page, { addon: plan.id }));
  const isFree = Boolean(trialDays) || plan.amountFor?.amount === 0 || "promotionCode" in page.checkout();
  return h(
    "div",
    { class: "order" },
    seats?.element,
    action === "SUBSCRIBE"
      ? buyButton(ui, label, () => line(plan, seats?.input.valueAsNumber), page, { input: seats?.input, isFree })
      : standing(ui, action, plan, page, seats?.input),
  );
}

/** What somebody who has a plan may do with this one. It is done on the account page, where it is quoted first. */
function standing(ui, action, plan, page, input) {
  const hint = action === "UNAVAILABLE" && h("p", { class: "hint" }, plan.viewer.reasonText);
  const words = ui.text(`action.${action}`);
  if (!page.accountUrl) return [hint, h("p", { class: "hint", "data-testid": "standing" }, words)];
  const wish = () => (isMove(plan) ? { change: plan.id, quantity: input?.value ?? "1" } : {});
  const link = onward(words, page, wish());
  input?.addEventListener("change", () => (link.href = addressOf(page, wish())));
  return [hint, link];
}

const onward = (words, page, wish) =>
  h("a", { class: "button", part: "button", href: addressOf(page, wish), "data-testid": "standing" }, words);

/** The account page, with what it is to begin with. */
function addressOf({ accountUrl }, wish) {
  const url = new URL(accountUrl);
  for (const [name, value] of Object.entries(wish)) url.searchParams.set(name, value);
  return url.href;
}

/**
 * Opens a checkout session and sends the buyer to it; what costs nothing at first is started without one, where the seller
 * asks for no card. What the buyer can fix is said below the button.
 */
function buyButton(ui, label, chosen, page, { input = null, isFree = false } = /** @type {any} */ ({})) {
  const problem = problemPlace();
  const press = ({ currentTarget }) => {
    if (input && !input.reportValidity()) return;
    const order = { ...page.checkout(), lineItems: [chosen()], locale: ui.locale };
    if (!ui.emit("billing-select", order)) return; // the page does something else with it
    attempt(currentTarget, ui.text("shop.opening"), problem, async () => {
      if (isFree && (await ui.client.isSignedIn()) && (await isStarted(ui, order))) return page.started();
      const { session } = await ui.mutate(CREATE_CHECKOUT_SESSION, order);
      leave(session.url);
    });
  };
  return [button(label, "buy", press), problem];
}

/** Starts what costs nothing at first; false where the seller wants a checkout for it. */
async function isStarted(ui, { lineItems, currency, promotionCode }) {
  const result = await ui.client.mutate(START_SUBSCRIPTION, { lineItems, currency, promotionCode });
  if (!result.ok && result.failure.code !== "CHECKOUT_NEEDED") throw ui.refused(result.failure);
  return result.ok;
}

/** The address of the account page, whole; null where there is none. */
export const accountUrl = (element) => web(element.getAttribute("account-url"));
