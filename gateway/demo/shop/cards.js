// What is on sale, a card each, and the way to it: the checkout, or for who has a plan the account page.

import { attempt, button, mutate, problemPlace } from "../common/actions.js";
import { h } from "../common/dom.js";
import { locale, text } from "../common/language.js";
import { session } from "../common/session.js";
import { isMove, moveOf } from "../common/moves.js";
import { isCounted, seatCounter } from "../common/seats.js";
import { billing, headline, onceHeadline, tierTable } from "./prices.js";
import { CREATE_CHECKOUT_SESSION, START_SUBSCRIPTION } from "./queries.js";

/**
 * @param {object} product
 * @param {object} plan one of its plans
 * @param {boolean} named whether the plan's own nickname is needed to tell it from the product's other plans
 * @param {{currency: string, digits: number, checkout: object, quantity: number}} page what all cards share; `checkout`
 *   is a part of CreateCheckoutSessionInput, `quantity` what the viewer has of his plan
 */
export function planCard(product, plan, named, page) {
  const trialDays = plan.viewer ? plan.viewer.trialDays : plan.trialPeriodDays;
  const kind = ["card", product.highlighted && "featured", plan.viewer?.action === "CURRENT" && "mine"];
  return h(
    "article",
    { class: kind.filter(Boolean).join(" "), "data-testid": "plan-card", "data-price-id": plan.id },
    h(
      "header",
      {},
      product.highlighted && h("p", { class: "badge" }, text("shop.popular")),
      h("h3", {}, named && plan.nickname ? `${product.name} · ${plan.nickname}` : product.name),
      h("p", { class: "description" }, product.description),
    ),
    h("div", {}, headline(product, plan, page), billing(plan, trialDays)),
    planOrder(product, plan, trialDays, page),
    h("div", { class: "included" }, features(product), tierTable(product, plan.price, page)),
  );
}

/** A one-off price: paid once, no subscription. */
export function productCard(product, price, page) {
  return h(
    "article",
    { class: "card", "data-testid": "product-card", "data-price-id": price.id },
    h("header", {}, h("h3", {}, price.nickname ?? product.name), h("p", { class: "description" }, product.description)),
    h("div", {}, onceHeadline(price, page)),
    h(
      "div",
      { class: "order" },
      buyButton(text("shop.buy"), () => line(price), page),
    ),
    features(product) && h("div", { class: "included" }, features(product)),
  );
}

const features = ({ features }) =>
  features.length > 0 &&
  h(
    "ul",
    { class: "features" },
    features.map((name) => h("li", {}, name)),
  );

const line = ({ id }, quantity = 1) => ({ priceId: id, quantity });

/** What this viewer may do with the plan, below a quantity where it is sold by the unit. */
function planOrder(product, plan, trialDays, page) {
  const action = moveOf(plan, product, page.quantity) ?? "SUBSCRIBE";
  const isOpen = action === "SUBSCRIBE" || isMove(plan);
  const seats = isOpen && isCounted(plan, product) ? seatCounter(product, plan, page.currency, plan.minQuantity) : null;
  const label = trialDays
    ? text("shop.startTrial")
    : (product.callToAction ?? text("shop.choose", { plan: product.name }));
  if (product.addon && action === "SUBSCRIBE" && page.runs && plan.usageType === "LICENSED")
    return h("div", { class: "order" }, addLink(plan));
  const isFree = Boolean(trialDays) || plan.amountFor?.amount === 0 || "promotionCode" in page.checkout;
  return h(
    "div",
    { class: "order" },
    seats?.element,
    action === "SUBSCRIBE"
      ? buyButton(label, () => line(plan, seats?.input.valueAsNumber), page, { input: seats?.input, isFree })
      : standing(action, plan, seats?.input),
  );
}

/** What somebody who has a plan may do with this one. It is done on the account page, where it is quoted first. */
function standing(action, plan, input) {
  const address = () => {
    const wish = new URLSearchParams({ change: plan.id, quantity: input?.value ?? "1" });
    return isMove(plan) ? `/demo/account?${wish}` : "/demo/account";
  };
  const link = h("a", { class: "button", href: address(), "data-testid": "standing" }, text(`action.${action}`));
  input?.addEventListener("change", () => link.setAttribute("href", address()));
  return [action === "UNAVAILABLE" && h("p", { class: "hint" }, plan.viewer.reasonText), link];
}

/** An add-on is chosen on the account page, where it is quoted with the plan. */
const addLink = ({ id }) =>
  h("a", { class: "button", href: `/demo/account?addon=${id}`, "data-testid": "standing" }, text("action.ADD"));

/**
 * Opens a checkout session and sends the buyer to it; what costs nothing at first is started without one, where the seller
 * asks for no card. What the buyer can mend is said below the button.
 */
function buyButton(label, chosen, page, { input, isFree } = {}) {
  const problem = problemPlace();
  const press = ({ currentTarget }) => {
    if (input && !input.reportValidity()) return;
    const order = { ...page.checkout, lineItems: [chosen()], locale };
    attempt(currentTarget, text("shop.opening"), problem, async () => {
      if (isFree && session() && (await isStarted(order))) return location.assign("/demo/account");
      const created = await mutate(CREATE_CHECKOUT_SESSION, "createCheckoutSession", order);
      location.assign(created.session.url);
    });
  };
  return [button(label, "buy", press), problem];
}

/** Starts what costs nothing at first; false where the seller wants a checkout for it. */
async function isStarted({ lineItems, currency, promotionCode }) {
  try {
    await mutate(START_SUBSCRIPTION, "startSubscription", { lineItems, currency, promotionCode });
    return true;
  } catch (error) {
    if (error.codes?.includes("CHECKOUT_NEEDED")) return false;
    throw error;
  }
}
