// What a plan or a product costs, in words: the large figures, what they come to a month, and the tiers.

import { h } from "../common/dom.js";
import { number, text, units } from "../common/language.js";
import { adverb, capital, every, periodOf } from "../common/periods.js";
import { write } from "./amounts.js";

/** What one unit (or package) costs, of a price or of a tier; null where nothing is said. */
const cost = ({ unitAmount, unitAmountDecimal }, page) =>
  unitAmount?.formatted ?? (unitAmountDecimal && write(unitAmountDecimal, page));

const isFree = ({ unitAmountDecimal, flatAmount }) => !Number(unitAmountDecimal) && !flatAmount?.amount;

const figures = (money, words) => h("p", { class: "price" }, h("strong", {}, money), ` ${words}`);

/** "per seat", "per 100 calls"; nothing for what is not counted. */
function perUnit({ unitLabel }, { price, usageType }) {
  const count = price.transformQuantity?.divideBy;
  if (count) return text("price.perPackage", { count, units: units(unitLabel, count) });
  const counted = unitLabel || price.tiers.length || usageType === "METERED";
  return counted ? text("price.perUnit", { unit: units(unitLabel, 1) }) : "";
}

/** The price in large figures: of one unit; of tiers the first. */
export function headline(product, plan, page) {
  const [first] = plan.price.tiers;
  if (first && isFree(first) && first.upTo) {
    const count = first.upTo;
    return figures(text("price.free"), text("price.forTheFirst", { count, units: units(product.unitLabel, count) }));
  }
  if (first?.flatAmount?.amount) return figures(first.flatAmount.formatted, every(periodOf(plan)));
  const metered = plan.usageType === "METERED";
  const words = [perUnit(product, plan), metered ? "" : every(periodOf(plan))];
  return figures(cost(first ?? plan.price, page) ?? text("price.youDecide"), words.filter(Boolean).join(" "));
}

export const onceHeadline = (price, page) =>
  figures(
    price.customAmount ? text("price.youDecide") : cost(price, page),
    [text("price.once"), price.taxText].filter(Boolean).join(", "),
  );

/** When it is charged, and what that comes to a month. */
export function billing(plan, trialDays) {
  const period = periodOf(plan);
  const monthly = period !== "MONTH" && plan.monthlyEquivalent?.formatted;
  const saving = plan.savingPercent;
  return h(
    "ul",
    { class: "billing" },
    h(
      "li",
      {},
      trialDays
        ? text("price.trial", { count: trialDays, billed: adverb(period) })
        : text("price.billed", { billed: adverb(period) }),
    ),
    monthly &&
      h(
        "li",
        { "data-testid": "monthly" },
        text("price.monthly", { amount: monthly }),
        saving && h("em", { class: "saving" }, text("price.saving", { percent: saving })),
      ),
    plan.price.taxText && h("li", {}, plan.price.taxText),
  );
}

/** The tiers of a price; null where it has none. */
export function tierTable({ unitLabel }, { tiers, tiersMode }, page) {
  if (!tiers.length) return null;
  const starts = [1, ...tiers.map(({ upTo }) => upTo + 1)];
  const range = ({ upTo }, index) =>
    upTo ? text("price.range", { from: starts[index], to: upTo }) : text("price.andMore", { from: starts[index] });
  return h(
    "table",
    { class: "tiers" },
    h(
      "caption",
      {},
      capital(text(`price.tiers.${tiersMode}`, { units: units(unitLabel, 2), unit: units(unitLabel, 1) })),
    ),
    h(
      "tbody",
      {},
      tiers.map((tier, index) =>
        h("tr", {}, h("th", { scope: "row" }, range(tier, index)), h("td", {}, tierCost(tier, page))),
      ),
    ),
  );
}

function tierCost(tier, page) {
  const each = Number(tier.unitAmountDecimal) ? text("price.each", { amount: cost(tier, page) }) : null;
  const flat = tier.flatAmount?.amount ? text("price.flat", { amount: tier.flatAmount.formatted }) : null;
  return [each, flat].filter(Boolean).join(" + ") || text("price.freeTier");
}

export const saving = (percent) => h("em", { class: "saving" }, text("price.saveUpTo", { percent: number(percent) }));
