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
 * @param {object} deal what all cards share: `checkout`, a part of CreateCheckoutSessionInput, and the currency's `digits`
 */
export function planCard(product, plan, named, deal) {
  const recommended = product.metadata.some(({ key, value }) => key === "recommended" && value === "true");
  const mine = plan.viewer;
  const trial = mine ? mine.trialDays : plan.trialPeriodDays;
  const billed = `billed ${adverb(periodOf(plan)).toLowerCase()}`;
  return h(
    "article",
    { class: recommended ? "card featured" : "card", "data-testid": "plan-card", "data-price-id": plan.id },
    h(
      "header",
      {},
      recommended && h("p", { class: "badge" }, "Most popular"),
      h("h3", {}, named && plan.nickname ? `${product.name} · ${plan.nickname}` : product.name),
      h("p", { class: "description" }, product.description),
    ),
    h(
      "div",
      {},
      headline(product, plan, deal),
      h(
        "p",
        { class: "trial" },
        trial ? `${trial} days free, then ${billed}` : `${billed[0].toUpperCase()}${billed.slice(1)}`,
      ),
    ),
    mine && mine.action !== "SUBSCRIBE"
      ? h("div", { class: "order" }, standing(mine.action))
      : order(trial ? "Start free trial" : `Choose ${product.name}`, deal, plan, product.unitLabel),
    h("div", { class: "included" }, features(product), tierList(product, plan.price, deal)),
  );
}

const STANDINGS = {
  CURRENT: "Your plan",
  UPGRADE: "Upgrade",
  DOWNGRADE: "Downgrade",
  SWITCH: "Switch",
  SCHEDULED: "Yours from the next period",
  RESUME: "Take it up again",
};

/** What somebody who has a plan may do with this one: it is done on the account page, where it is quoted first. */
const standing = (action) =>
  action in STANDINGS
    ? h("a", { class: "button quiet", href: "/demo/account", "data-testid": "standing" }, STANDINGS[action])
    : h("p", { class: "problem", "data-testid": "standing" }, "Not available for you");

/** A one-off price: paid once, no subscription. */
export function productCard(product, price, deal) {
  return h(
    "article",
    { class: "card", "data-testid": "product-card", "data-price-id": price.id },
    h("header", {}, h("h3", {}, price.nickname ?? product.name), h("p", { class: "description" }, product.description)),
    h("div", {}, figures(unitCost(price, deal) ?? "You decide", "once")),
    order("Buy", deal, price),
    features(product) && h("div", { class: "included" }, features(product)),
  );
}

const features = ({ features }) =>
  features.length > 0 &&
  h(
    "ul",
    { class: "features" },
    features.map((text) => h("li", {}, text)),
  );

/** What one unit costs, of a price or of a tier; null where nothing is said. */
const unitCost = ({ unitAmount, unitAmountDecimal }, { checkout, digits }) =>
  unitAmount?.formatted ?? (unitAmountDecimal && write(unitAmountDecimal, checkout.currency, digits));

const isFree = ({ unitAmountDecimal, flatAmount }) => !Number(unitAmountDecimal) && !flatAmount?.amount;

/** The price in large figures: of one unit; of tiers the first. */
function headline({ unitLabel }, plan, deal) {
  const [first] = plan.price.tiers;
  const unit = unitLabel ?? "unit";
  if (first && isFree(first) && first.upTo)
    return figures("Free", `for the first ${number.format(first.upTo)} ${unit}s`);
  if (first?.flatAmount?.amount) return figures(first.flatAmount.formatted, every(periodOf(plan)));
  const cost = unitCost(first ?? plan.price, deal) ?? "You decide";
  if (plan.usageType === "METERED") return figures(cost, `per ${unit}`);
  return figures(cost, (first || unitLabel ? `per ${unit} ` : "") + every(periodOf(plan)));
}

const figures = (money, words) => h("p", { class: "price" }, h("strong", {}, money), ` ${words}`);

function tierList({ unitLabel }, { tiers, tiersMode }, deal) {
  if (!tiers.length) return null;
  const unit = unitLabel ?? "unit";
  const starts = [1, ...tiers.map(({ upTo }) => upTo + 1)];
  const row = (tier, index) =>
    h(
      "tr",
      {},
      h(
        "th",
        { scope: "row" },
        `${number.format(starts[index])} ${tier.upTo ? `– ${number.format(tier.upTo)}` : "and more"}`,
      ),
      h("td", {}, tierCost(tier, deal)),
    );
  return h(
    "table",
    { class: "tiers" },
    h("caption", {}, tiersMode === "VOLUME" ? `All ${unit}s at the price reached` : `Each ${unit} at its own step`),
    h("tbody", {}, tiers.map(row)),
  );
}

function tierCost(tier, deal) {
  const each = Number(tier.unitAmountDecimal) ? `${unitCost(tier, deal)} each` : null;
  const flat = tier.flatAmount?.amount ? `${tier.flatAmount.formatted} flat` : null;
  return [each, flat].filter(Boolean).join(" + ") || "free";
}

/**
 * The buy button, below a quantity where something is sold by the unit. Usage is billed later, so a metered plan has
 * no quantity.
 */
function order(label, deal, offer, unitLabel) {
  const counted = offer.usageType === "LICENSED" && (unitLabel || offer.price.tiers.length > 0);
  const input = h("input", { type: "number", min: "1", step: "1", value: "1", inputmode: "numeric", required: true });
  const problem = h("p", { class: "problem", role: "alert" });
  const press = ({ currentTarget }) => {
    if (!input.reportValidity()) return;
    buy(
      { ...deal.checkout, lineItems: [{ priceId: offer.id, quantity: input.valueAsNumber }] },
      currentTarget,
      problem,
    );
  };
  return h(
    "div",
    { class: "order" },
    counted && counter(input, offer, unitLabel ?? "unit", deal),
    h("button", { type: "button", class: "button", "data-testid": "buy", onclick: press }, label),
    problem,
  );
}

/** A number field with a button on each side, and what that many cost. */
function counter(input, plan, unitLabel, { checkout, digits }) {
  const sum = h("output", { class: "sum" });
  const show = () => {
    const cost = input.checkValidity() ? total(plan, input.valueAsNumber) : null;
    sum.textContent = cost === null ? "" : `Total ${write(cost, checkout.currency, digits)}`;
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
  return h(
    "div",
    { class: "quantity" },
    h(
      "div",
      { class: "counter" },
      step("−", `One ${unitLabel} less`, () => input.stepDown()),
      input,
      step("+", `One ${unitLabel} more`, () => input.stepUp()),
    ),
    sum,
  );
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
