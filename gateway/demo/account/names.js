// Plans by their names.

import { number, text, units } from "../common/language.js";
import { adverb, periodOf } from "../common/periods.js";

/** "Starter, monthly", "Team for 3 seats, monthly" */
export const named = (plan, quantity) => `${counted(plan, quantity)}, ${adverb(periodOf(plan))}`;

/** The name and the number of an item. */
export const quantified = ({ plan, quantity }) => (plan ? counted(plan, quantity) : text("plan.past"));

/** The item of a subscription that is its plan: the first, unless it is an add-on beside another. */
export const mainItem = ({ items }) => items.find(({ plan }) => plan && !plan.product.addon) ?? items[0] ?? {};

/** The items beside it. */
export const besides = (subscription) => subscription.items.filter((item) => item !== mainItem(subscription));

const counted = ({ product }, quantity) =>
  quantity > 1
    ? text("plan.counted", {
        name: product.name,
        count: number(Number(quantity)),
        units: units(product.unitLabel, Number(quantity)),
      })
    : product.name;
