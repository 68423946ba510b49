// What is on sale, a card each, and the button that opens its checkout.

import { CREATE_CHECKOUT_SESSION, send } from "./api.js";
import { total, write } from "./amounts.js";
import { h } from "./dom.js";
import { adverb, every, periodOf } from "./periods.js";

const number = new Intl.NumberFormat(navigator.language);

/**
 * @param {object} product
 * @param {object} plan one of its plans
 * @param {boolean} named whether the plan's own nickname is needed to tell it from the product's other plans
 * @param {object} checkout the part of CreateCheckoutSessionInput that all cards share
 */
export function planCard(product, plan, named, checkout) {
  const badge = product.metadata.find(({ key }) => key === "badge")?.value;
  const trial = plan.trialPeriodDays;
  const billed = `billed ${adverb(periodOf(plan)).toLowerCase()}`;
  return h("article", { class: badge ? "card featured" : "card", "data-testid": "plan-card", "data-price-id": plan.id },
    h("header", {},
      badge && h("p", { class: "badge" }, badge),
      h("h2", {}, named && plan.nickname ? `${product.name} · ${plan.nickname}` : product.name),
      h("p", { class: "description" }, product.description)),
    h("div", {},
      headline(product, plan),
      h("p", { class: "trial" }, trial ? `${trial} days free, then ${billed}` : `${billed[0].toUpperCase()}${billed.slice(1)}`)),
    order(trial ? "Start free trial" : `Choose ${product.name}`, checkout, plan, product.unitLabel),
    h("div", { class: "included" }, features(product), tierList(product, plan)));
}

/** A one-off price: paid once, no subscription. */
export function productCard(product, price, checkout) {
  return h("article", { class: "card extra", "data-testid": "product-card", "data-price-id": price.id },
    h("header", {},
      h("h3", {}, price.nickname ?? product.name),
      h("p", { class: "description" }, product.description)),
    h("div", {}, features(product)),
    h("div", { class: "row" },
      h("p", { class: "price" }, h("strong", {}, price.unitAmount?.formatted ?? "You decide"), " once"),
      order("Buy", checkout, price)));
}

const features = ({ features }) => features.length > 0 && h("ul", { class: "features" }, features.map((text) => h("li", {}, text)));

/** The price in large figures: of one unit, or of the first tier. */
function headline({ unitLabel }, plan) {
  const [first] = plan.price.tiers;
  const money = plan.amount ?? (first?.unitAmount?.amount ? first.unitAmount : first?.flatAmount ?? first?.unitAmount);
  const free = first && money?.amount === 0;
  const unit = unitLabel && (first ? money === first.unitAmount : true) ? `per ${unitLabel} ` : "";
  const words = free && first.upTo ? `for the first ${number.format(first.upTo)} ${unitLabel ?? "unit"}s` : unit + every(periodOf(plan));
  return h("p", { class: "price" }, h("strong", {}, free ? "Free" : money?.formatted ?? "On usage"), ` ${words}`);
}

function tierList({ unitLabel }, { price: { tiers, tiersMode } }) {
  if (!tiers.length) return null;
  const starts = [1, ...tiers.map(({ upTo }) => upTo + 1)];
  const span = ({ upTo }, start) => (upTo ? `${number.format(start)} – ${number.format(upTo)}` : `${number.format(start)} and more`);
  const cost = ({ unitAmount, flatAmount }) =>
    [unitAmount?.amount ? `${unitAmount.formatted} each` : null, flatAmount?.amount ? `${flatAmount.formatted} flat` : null]
      .filter(Boolean).join(" + ") || "free";
  const caption = tiersMode === "VOLUME" ? `All ${unitLabel ?? "unit"}s at the price reached` : `Each ${unitLabel ?? "unit"} at its own step`;
  return h("table", { class: "tiers" },
    h("caption", {}, caption),
    h("tbody", {}, tiers.map((tier, index) => h("tr", {}, h("th", { scope: "row" }, span(tier, starts[index])), h("td", {}, cost(tier))))));
}

/**
 * The buy button, below a quantity where something is sold by the unit. Usage is billed later, so a metered plan has
 * no quantity.
 */
function order(label, checkout, offer, unitLabel) {
  const counted = offer.usageType === "LICENSED" && (unitLabel || offer.price.tiers.length > 0);
  const input = h("input", { type: "number", min: "1", step: "1", value: "1", inputmode: "numeric", required: true });
  const problem = h("p", { class: "problem", role: "alert" });
  const press = ({ currentTarget }) => {
    if (!input.reportValidity()) return;
    buy({ ...checkout, lineItems: [{ priceId: offer.id, quantity: input.valueAsNumber }] }, currentTarget, problem);
  };
  return h("div", { class: "order" },
    counted && counter(input, offer, unitLabel ?? "unit"),
    h("button", { type: "button", class: "button", "data-testid": "buy", onclick: press }, label),
    problem);
}

/** A number field with a button on each side, and what that many cost. */
function counter(input, plan, unitLabel) {
  const sum = h("output", { class: "sum" });
  const show = () => {
    const cost = input.checkValidity() ? total(plan, input.valueAsNumber) : null;
    sum.textContent = cost ? `Total ${write(cost)}` : "";
  };
  const step = (sign, label, change) => {
    const press = () => {
      change();
      show();
    };
    return h("button", { type: "button", class: "step", "aria-label": label, onclick: press }, sign);
  };
  input.addEventListener("input", show);
  input.setAttribute("aria-label", `Number of ${unitLabel}s`);
  show();
  return h("div", { class: "quantity" },
    h("div", { class: "counter" },
      step("−", `One ${unitLabel} less`, () => input.stepDown()),
      input,
      step("+", `One ${unitLabel} more`, () => input.stepUp())),
    sum);
}

/** Opens a checkout session and sends the buyer to it. What the buyer can mend is said next to the button. */
async function buy(input, button, problem) {
  const label = button.textContent;
  button.disabled = true;
  button.textContent = "Opening checkout…";
  problem.textContent = "";
  try {
    const { data } = await send(CREATE_CHECKOUT_SESSION, { input });
    const { session, userErrors } = data.createCheckoutSession;
    if (session?.url) return location.assign(session.url);
    problem.textContent = userErrors.map(({ message }) => message).join(" ");
  } catch (error) {
    problem.textContent = error.message;
  }
  button.disabled = false;
  button.textContent = label;
}
