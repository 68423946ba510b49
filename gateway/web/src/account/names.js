// Plans by their names.

import { adverb, periodOf } from "../core/periods.js";

/** "Starter, monthly", "Team for 3 seats, monthly" */
export const named = (ui, plan, quantity) => `${counted(ui, plan, quantity)}, ${adverb(ui, periodOf(plan))}`;

/** The name and the number of a subscription's plan. */
export const quantified = (ui, { plan, quantity }) => (plan ? counted(ui, plan, quantity) : ui.text("plan.past"));

const counted = (ui, { product }, quantity) =>
  quantity > 1
    ? ui.text("plan.counted", {
        name: product.name,
        count: ui.number(Number(quantity)),
        units: ui.units(product.unitLabel, Number(quantity)),
      })
    : product.name;
