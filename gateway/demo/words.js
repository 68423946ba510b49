// What the parts of the account page share: dates, labelled values, buttons that work, and mutations.

import { send } from "./api.js";
import { h } from "./dom.js";

export const day = (text) => new Intl.DateTimeFormat(navigator.language, { dateStyle: "long" }).format(new Date(text));

/** A row of a description list. */
export const labelled = (label, value, testid) =>
  h("div", {}, h("dt", {}, label), h("dd", testid ? { "data-testid": testid } : {}, value));

/** Something to mend, in the gateway's words. */
export class Refused extends Error {}

/**
 * Sends a mutation.
 *
 * @returns {Promise<object>} its payload
 * @throws {Refused} when there is something to mend
 */
export async function mutate(document, field, input, variables = {}) {
  const { data } = await send(document, { input, ...variables });
  const payload = data[field];
  if (payload.userErrors.length) throw new Refused(payload.userErrors.map(({ message }) => message).join(" "));
  return payload;
}

/** Runs what a button is for: it waits, and what goes wrong is said in the nearest `.problem`. */
export async function attempt(button, waiting, action) {
  const label = button.textContent;
  const problem = button.closest("section, form, article")?.querySelector(".problem:last-of-type");
  button.disabled = true;
  button.textContent = waiting;
  if (problem) problem.textContent = "";
  try {
    await action();
  } catch (error) {
    if (problem) problem.textContent = error.message;
  }
  button.disabled = false;
  button.textContent = label;
}
