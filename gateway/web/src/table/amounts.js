// Amounts below the minor unit, which only the catalogue has: every other amount comes written from the API.

/** How many decimals a currency has at Stripe, read off any Money of the page. */
export function digitsOf({ products }) {
  const prices = products.flatMap(({ plans, oneTime }) => [...plans.map(({ price }) => price), ...oneTime]);
  const amounts = prices.flatMap(({ unitAmount, tiers = [] }) => [
    unitAmount,
    ...tiers.flatMap((tier) => [tier.unitAmount, tier.flatAmount]),
  ]);
  return amounts.find(Boolean)?.decimal.split(".")[1]?.length ?? 0;
}

/**
 * Writes minor units that may have decimals. There is no floating point in it.
 *
 * @param {string} locale
 * @param {string} amount such as "0.5"
 * @param {{currency: string, digits: number}} page see `digitsOf`
 */
export function write(locale, amount, { currency, digits }) {
  const [whole, fraction = ""] = amount.split(".");
  const figures = whole.padStart(digits + 1, "0");
  const point = figures.length - digits;
  const options = { currency, maximumFractionDigits: digits + fraction.length };
  const decimal = /** @type {any} */ (`${figures.slice(0, point)}.${figures.slice(point)}${fraction}`);
  return new Intl.NumberFormat(locale, { style: "currency", ...options }).format(decimal);
}
