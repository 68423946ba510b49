// How many: a number field with a button on each side, and what that many cost, by the API's own arithmetic.

import { TOTALS } from "../documents/totals.js";
import { h } from "./dom.js";

const MOST = 1_000_000; // what `amountFor` computes for anybody

/** Whether a plan is bought by the unit. What is used is billed later, so a metered plan has no quantity. */
export const isCounted = ({ usageType, price }, { unitLabel }) =>
  usageType === "LICENSED" && Boolean(unitLabel || price.tiers.length || price.transformQuantity);

/**
 * @param {import("./ui.js").Ui} ui
 * @param {{id: string, unitLabel: string|null}} product
 * @param {{id: string, minQuantity: number, maxQuantity: number|null}} plan
 * @param {string} currency
 * @param {number} start
 * @param {{least?: number, name?: string}} [as] `least` instead of the plan's own, and what stands before the label
 * @returns {{element: Element, input: HTMLInputElement}} `input` fires "change" at each change
 */
export function seatCounter(ui, product, plan, currency, start, { least = plan.minQuantity, name } = {}) {
  const unit = ui.units(product.unitLabel, 1);
  const label = (sentence, values) => [name, ui.text(sentence, values)].filter(Boolean).join(", ");
  const input = h("input", {
    type: "number",
    min: String(least),
    max: String(plan.maxQuantity ?? MOST),
    step: "1",
    value: String(start && Math.max(start, plan.minQuantity)),
    inputmode: "numeric",
    required: true,
    autocomplete: "off",
    "aria-label": label("seats.number", { units: ui.units(product.unitLabel, 2) }),
    "data-testid": "quantity",
  });
  const sum = h("output", { class: "sum", "data-testid": name ? "addon-sum" : "sum" });
  let turn = 0;

  /** Shows the total; an answer that a newer question has overtaken is dropped. */
  async function refresh() {
    const mine = ++turn;
    if (!input.checkValidity() || !input.valueAsNumber) return sum.replaceChildren();
    const asked = { productId: product.id, currency, quantity: input.valueAsNumber };
    const result = await ui.client.query(TOTALS, asked);
    if (mine !== turn) return;
    const amount = result.ok && result.data.plans.nodes.find(({ id }) => id === plan.id)?.amountFor;
    sum.textContent = amount ? ui.text("seats.total", { amount: amount.formatted }) : "";
  }

  const step = (sign, sentence, move) =>
    h(
      "button",
      {
        type: "button",
        class: "step",
        "aria-label": label(sentence, { unit }),
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
      { class: "counter", part: "counter" },
      step("−", "seats.less", () => input.stepDown()),
      input,
      step("+", "seats.more", () => input.stepUp()),
    ),
    sum,
  );
  return { element, input };
}
