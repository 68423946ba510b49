// <billing-access> alone.

export { configure } from "../core/base.js";
export { AccessGate } from "../access/access.js";
