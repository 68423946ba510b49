// Plans by their names.

import { adverb, periodOf } from "../core/periods.js";

/** "Starter, monthly", "Team for 3 seats, monthly" */
export const named = (ui, plan, quantity) => `${counted(ui, plan, quantity)}, ${adverb(ui, periodOf(plan))}`;

/** The name and the number of an item. */
export const quantified = (ui, { plan, quantity }) => (plan ? counted(ui, plan, quantity) : ui.text("plan.past"));

/** The item of a subscription that is its plan: the first, unless it is an add-on beside another. */
export const mainItem = ({ items }) => items.find(({ plan }) => plan && !plan.product.addon) ?? items[0] ?? {};

/** The items beside it. */
export const besides = (subscription) => subscription.items.filter((item) => item !== mainItem(subscription));

const counted = (ui, { product }, quantity) =>
  quantity > 1
    ? ui.text("plan.counted", {
        name: product.name,
        count: ui.number(Number(quantity)),
        units: ui.units(product.unitLabel, Number(quantity)),
      })
    : product.name;
