// How many: a number field with a button on each side, and what that many cost, by the API's own arithmetic.

import { send } from "./api.js";
import { h } from "./dom.js";
import { locale, text, units } from "./language.js";

const MOST = 1_000_000; // what `amountFor` computes for anybody

const TOTALS = `query Totals($productId: ID!, $currency: Currency!, $quantity: Int!, $locale: String!) {
  plans(productId: $productId, currency: $currency) {
    edges { node { id amountFor(quantity: $quantity) { formatted(locale: $locale) } } }
  }
}`;

/** Whether a plan is bought by the unit. What is used is billed later, so a metered plan has no quantity. */
export const isCounted = ({ usageType, price }, { unitLabel }) =>
  usageType === "LICENSED" && Boolean(unitLabel || price.tiers.length || price.transformQuantity);

/**
 * @param {{id: string, unitLabel: string|null}} product
 * @param {{id: string, minQuantity: number, maxQuantity: number|null}} plan
 * @param {string} currency
 * @param {number} start
 * @param {{least?: number, name?: string}} as `least` instead of the plan's own, and what stands before the label
 * @returns {{element: Element, input: HTMLInputElement}} `input` fires "change" at each change
 */
export function seatCounter(product, plan, currency, start, { least = plan.minQuantity, name } = {}) {
  const unit = units(product.unitLabel, 1);
  const input = h("input", {
    type: "number",
    min: String(least),
    max: String(plan.maxQuantity ?? MOST),
    step: "1",
    value: String(start && Math.max(start, plan.minQuantity)),
    inputmode: "numeric",
    required: true,
    autocomplete: "off",
    "aria-label": [name, text("seats.number", { units: units(product.unitLabel, 2) })].filter(Boolean).join(", "),
    "data-testid": "quantity",
  });
  const sum = h("output", { class: "sum", "data-testid": name ? "addon-sum" : "sum" });
  let turn = 0;

  /** Shows the total; an answer that a newer question has overtaken is dropped. */
  async function refresh() {
    const mine = ++turn;
    if (!input.checkValidity() || !input.valueAsNumber) return sum.replaceChildren();
    const asked = { productId: product.id, currency, quantity: input.valueAsNumber, locale };
    const { data } = await send(TOTALS, asked).catch(() => ({ data: null }));
    if (mine !== turn) return;
    const amount = data?.plans.edges.find(({ node }) => node.id === plan.id)?.node.amountFor;
    sum.textContent = amount ? text("seats.total", { amount: amount.formatted }) : "";
  }

  const step = (sign, sentence, move) =>
    h(
      "button",
      {
        type: "button",
        class: "step",
        "aria-label": [name, text(sentence, { unit })].filter(Boolean).join(", "),
        onclick: () => {
          move();
          input.dispatchEvent(new Event("input"));
          input.dispatchEvent(new Event("change"));
        },
      },
      sign,
    );
  input.addEventListener("input", refresh);
  refresh();
  const element = h(
    "div",
    { class: "quantity" },
    h(
      "div",
      { class: "counter" },
      step("−", "seats.less", () => input.stepDown()),
      input,
      step("+", "seats.more", () => input.stepUp()),
    ),
    sum,
  );
  return { element, input };
}
