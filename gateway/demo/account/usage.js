// What a meter has counted in the present period. Who neither pays by use nor has used anything has no such tile.

import { labelled } from "../common/actions.js";
import { h } from "../common/dom.js";
import { day, number, text, units } from "../common/language.js";

/**
 * @param {{value: number, periodStart: string, periodEnd: string}|null} usage null when there is no such meter
 * @param {object[]} subscriptions all that the customer has
 */
export function usagePanel(usage, subscriptions) {
  const plans = subscriptions.filter(({ endedAt }) => !endedAt).flatMap(({ items }) => items.map(({ plan }) => plan));
  const metered = plans.find((plan) => plan?.usageType === "METERED");
  if (!usage || !(metered || usage.value)) return null;
  const { value, periodStart, periodEnd } = usage;
  return h(
    "section",
    { class: "tile wide", "data-testid": "usage", "aria-labelledby": "usage-title" },
    h("h2", { id: "usage-title" }, text("usage.title")),
    h(
      "p",
      { class: "price" },
      h("strong", { "data-testid": "usage-value" }, number(value)),
      ` ${text("usage.counted", { units: units(metered?.product.unitLabel, value) })}`,
    ),
    h(
      "dl",
      {},
      labelled(text("usage.since"), day(periodStart)),
      labelled(text("usage.anew"), day(periodEnd), "usage-until"),
    ),
  );
}
