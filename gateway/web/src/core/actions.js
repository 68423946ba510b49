// What buttons and forms share: they wait while they work, and say what went wrong where it was asked.

import { h } from "./dom.js";

/** Why something could not be done, in the words that the API has for buyers. */
export class Refused extends Error {
  /** @param {import("../client/client.js").Failure} failure */
  constructor(failure) {
    super(failure.text);
    this.failure = failure;
    this.codes = failure.problems.map(({ code }) => code);
  }
}

/** A name for a request, so that sending it twice does it once; a page without TLS has no `randomUUID`. */
export const newKey = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** The place where a part of the element says what went wrong. */
export const problemPlace = () => h("div", { class: "problem", part: "problem", role: "alert", tabindex: "-1" });

/**
 * Runs what a button is for. The button waits; what goes wrong is said in `problem`, and takes the keyboard there, also
 * when it is the same again.
 *
 * @param {HTMLButtonElement} button
 * @param {string} waiting what the button says meanwhile
 * @param {HTMLElement} problem see `problemPlace`
 * @param {() => Promise<void>} action
 * @returns {Promise<any>} what went wrong, or null
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
  if (failure) {
    problem.textContent = failure.message;
    problem.focus();
  }
  return failure;
}

/**
 * @param {any} label
 * @param {string} testid
 * @param {(event: any) => void} onclick
 * @param {string} [kind] its classes, which are its parts too
 */
export const button = (label, testid, onclick, kind = "button") =>
  h("button", { type: "button", class: kind, part: kind, "data-testid": testid, onclick }, label);

/** A row of a description list. */
export const labelled = (label, value, testid) =>
  h("div", {}, h("dt", {}, label), h("dd", testid ? { "data-testid": testid } : {}, value));
