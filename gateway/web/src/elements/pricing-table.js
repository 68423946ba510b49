// <billing-pricing-table> alone.

export { configure } from "../core/base.js";
export { PricingTable } from "../table/pricing-table.js";
