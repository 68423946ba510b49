// What buttons and forms share: they wait while they work, and say what went wrong where it was asked.

import { send } from "./api.js";
import { h } from "./dom.js";
import { locale } from "./language.js";

/** Something that the customer can mend, in the words that the API has for him. */
export class Refused extends Error {
  /** @param {{code: string, text: string}[]} problems */
  constructor(problems) {
    super(problems.map(({ text }) => text).join(" "));
    this.codes = problems.map(({ code }) => code);
  }
}

/**
 * Sends a mutation.
 *
 * @returns {Promise<object>} its payload
 * @throws {Refused} when there is something to mend
 */
export async function mutate(document, field, input) {
  const { data } = await send(document, { input, locale });
  const payload = data[field];
  if (payload.userErrors.length) throw new Refused(payload.userErrors);
  return payload;
}

/** A name for a request, so that sending it twice does it once. */
export const newKey = () => crypto.randomUUID();

/** The place where a part of the page says what went wrong. */
export const problemPlace = () => h("div", { class: "problem", role: "alert", tabindex: "-1" });

/** Says what went wrong and takes the keyboard there, also when it is the same again. */
function complain(problem, words) {
  problem.textContent = words;
  problem.focus();
}

/**
 * Runs what a button is for. The button waits; what goes wrong is said in `problem`.
 *
 * @param {HTMLButtonElement} button
 * @param {string} waiting what the button says meanwhile
 * @param {HTMLElement} problem see `problemPlace`
 * @param {() => Promise<void>} action
 * @returns {Promise<Error|null>} what went wrong
 */
export async function attempt(button, waiting, problem, action) {
  const label = [...button.childNodes];
  button.disabled = true;
  button.textContent = waiting;
  problem.textContent = "";
  const failure = await action().then(
    () => null,
    (error) => error,
  );
  button.disabled = false;
  button.replaceChildren(...label);
  if (failure) complain(problem, failure.message);
  return failure;
}

export const button = (label, testid, onclick, kind = "button") =>
  h("button", { type: "button", class: kind, "data-testid": testid, onclick }, label);

/** A row of a description list. */
export const labelled = (label, value, testid) =>
  h("div", {}, h("dt", {}, label), h("dd", testid ? { "data-testid": testid } : {}, value));
