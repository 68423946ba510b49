// <billing-account> alone.

export { configure } from "../core/base.js";
export { Account } from "../account/account.js";
