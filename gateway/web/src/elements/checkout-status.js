// <billing-checkout-status> alone.

export { configure } from "../core/base.js";
export { CheckoutStatus } from "../status/checkout-status.js";
