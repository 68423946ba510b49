// Plans by their names.

import { number, text, units } from "../common/language.js";
import { adverb, periodOf } from "../common/periods.js";

/** "Starter, monthly", "Team for 3 seats, monthly" */
export const named = (plan, quantity) => `${counted(plan, quantity)}, ${adverb(periodOf(plan))}`;

/** The name and the number of a subscription's plan. */
export const quantified = ({ plan, quantity }) => (plan ? counted(plan, quantity) : text("plan.past"));

const counted = ({ product }, quantity) =>
  quantity > 1
    ? text("plan.counted", {
        name: product.name,
        count: number(Number(quantity)),
        units: units(product.unitLabel, Number(quantity)),
      })
    : product.name;
