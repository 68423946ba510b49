// What a plan is to who has one already.

import { isCounted } from "./seats.js";

const MOVES = ["UPGRADE", "DOWNGRADE", "SWITCH"];

export const isMove = ({ viewer }) => MOVES.includes(viewer?.action);

/**
 * The action of a plan for this viewer, by the API. The API keeps the quantity; where that is chosen anew nobody knows
 * yet whether it is up or down, and the quote says what it comes to.
 *
 * @param {any} plan
 * @param {any} product
 * @param {number} quantity what the viewer has now
 */
export const moveOf = (plan, product, quantity) =>
  isMove(plan) && (quantity > 1 || isCounted(plan, product)) ? "SWITCH" : plan.viewer?.action;
