// What a meter has counted in the present period. Who neither pays by use nor has used anything has no such tile.

import { h } from "./dom.js";
import { day, labelled } from "./words.js";

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
    { class: "tile wide", "data-testid": "usage", "aria-labelledby": "usage-heading" },
    h("h2", { id: "usage-heading" }, "Usage"),
    h(
      "p",
      { class: "price" },
      h("strong", { "data-testid": "usage-value" }, value.toLocaleString(navigator.language)),
      ` ${metered?.product.unitLabel ?? "unit"}${value === 1 ? "" : "s"} in this period`,
    ),
    h("dl", {}, labelled("Counted since", day(periodStart)), labelled("Begins anew", day(periodEnd), "usage-until")),
  );
}
