// Amounts in minor units as Stripe counts them: there is no floating point in money.

/** How many decimals a currency has at Stripe, read off any Money of the API. */
export function digitsOf({ products }) {
  const prices = products.flatMap(({ plans, oneTime }) => [...plans.map(({ price }) => price), ...oneTime]);
  const amounts = prices.flatMap(({ unitAmount, tiers = [] }) => [
    unitAmount,
    ...tiers.flatMap((tier) => [tier.unitAmount, tier.flatAmount]),
  ]);
  return amounts.find(Boolean)?.decimal.split(".")[1]?.length ?? 0;
}

/**
 * Writes minor units in the reader's locale.
 *
 * @param {number|string} amount whole, or a decimal number for a unit that costs less than the minor unit
 * @param {string} currency
 * @param {number} digits of the currency, see `digitsOf`
 */
export function write(amount, currency, digits) {
  const [whole, fraction = ""] = String(amount).split(".");
  const figures = whole.padStart(digits + 1, "0");
  const point = figures.length - digits;
  const style = { style: "currency", currency, maximumFractionDigits: digits + fraction.length };
  return new Intl.NumberFormat(navigator.language, style).format(
    `${figures.slice(0, point)}.${figures.slice(point)}${fraction}`,
  );
}

/**
 * What a quantity costs in one period.
 *
 * @param {object} plan with `amount`, or `price.tiers` and `price.tiersMode`
 * @param {number} quantity a whole number from 1
 * @returns {number|null} whole minor units; null when a unit has a fraction of one, which only Stripe rounds
 */
export function total(plan, quantity) {
  const { tiers, tiersMode } = plan.price;
  if (plan.amount) return plan.amount.amount * quantity;
  if (!tiers.length || tiers.some((tier) => !tier.unitAmount && Number(tier.unitAmountDecimal))) return null;
  return tiersMode === "VOLUME" ? volume(tiers, quantity) : graduated(tiers, quantity);
}

const unit = (tier) => tier.unitAmount?.amount ?? 0;
const flat = (tier) => tier.flatAmount?.amount ?? 0;

/** Every unit at the price of the tier that the quantity reaches. */
function volume(tiers, quantity) {
  const tier = tiers.find(({ upTo }) => upTo === null || quantity <= upTo);
  return unit(tier) * quantity + flat(tier);
}

/** Every unit at the price of the tier that it falls into itself. */
function graduated(tiers, quantity) {
  let sum = 0;
  let below = 0;
  for (const tier of tiers) {
    const units = Math.min(quantity, tier.upTo ?? Infinity) - below;
    if (units <= 0) break;
    sum += units * unit(tier) + flat(tier);
    below = tier.upTo;
  }
  return sum;
}
