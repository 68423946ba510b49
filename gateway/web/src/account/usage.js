// What a meter has counted in the present period. Who neither pays by use nor has used anything has no such tile.

import { labelled } from "../core/actions.js";
import { h } from "../core/dom.js";

/**
 * @param {import("../core/ui.js").Ui} ui
 * @param {{value: number, periodStart: string, periodEnd: string}|null|undefined} usage null or nothing when there is no such meter
 * @param {any[]} subscriptions all that the customer has
 */
export function usagePanel(ui, usage, subscriptions) {
  const plans = subscriptions.filter(({ endedAt }) => !endedAt).flatMap(({ items }) => items.map(({ plan }) => plan));
  const metered = plans.find((plan) => plan?.usageType === "METERED");
  if (!usage || !(metered || usage.value)) return null;
  const { value, periodStart, periodEnd } = usage;
  return h(
    "section",
    { class: "tile wide", part: "tile", "data-testid": "usage", "aria-labelledby": "usage-title" },
    h("h2", { id: "usage-title" }, ui.text("usage.title")),
    h(
      "p",
      { class: "price" },
      h("strong", { "data-testid": "usage-value" }, ui.number(value)),
      ` ${ui.text("usage.counted", { units: ui.units(metered?.product.unitLabel, value) })}`,
    ),
    h(
      "dl",
      {},
      labelled(ui.text("usage.since"), ui.day(periodStart)),
      labelled(ui.text("usage.anew"), ui.day(periodEnd), "usage-until"),
    ),
  );
}
