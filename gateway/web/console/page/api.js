// The one way to the gateway: GraphQL, with the operator's token in a header of each question.

import { confirmed, toast } from "./dom.js";

const KEY = "operator-token";
const texts = new Map();

export const session = {
  get token() { return sessionStorage.getItem(KEY); },
  set token(value) { value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY); },
  operator: null,
  get mayAct() { return this.operator?.role === "ACT"; },
};

/** What the gateway has refused; `code` is for programs. */
export class Failure extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

async function text(name) {
  if (!texts.has(name)) texts.set(name, fetch(`/console/${name}.graphql`).then((answer) => answer.text()));
  return texts.get(name);
}

/**
 * @param {string} name of a document
 * @param {object} variables
 * @param {string} [operationName] where the document has several
 */
export async function ask(name, variables = {}, operationName) {
  const body = JSON.stringify({ query: await text(name), variables, operationName });
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${session.token}` };
  let answer;
  try {
    answer = await (await fetch("/graphql", { method: "POST", headers, body, credentials: "omit" })).json();
  } catch {
    throw new Failure("The gateway does not answer.", "UNAVAILABLE");
  }
  const [error] = answer.errors ?? [];
  if (error) throw new Failure(error.message, error.extensions?.code);
  return answer.data.operator ?? answer.data;
}

/**
 * Ask whether something is to be changed, and change it once, however often it is sent.
 *
 * @param {object} wanted `title`, `text`, `fields` of the question; `operation` and `input` of what is done;
 *   `read` makes the input of what was typed; `said` is what is told afterwards
 * @returns {Promise<boolean>} whether it was done
 */
export async function act({ title, text: meaning, fields, operation, input, read, said }) {
  const typed = await confirmed(title, meaning, fields);
  if (typed === null) return false;
  const given = { ...input, ...(read ? read(typed) : {}), idempotencyKey: key() };
  try {
    const { done } = await send(operation, given);
    if (done.userErrors.length) throw new Failure(done.userErrors.map((each) => each.message).join("; "));
    toast(said ? said(done) : "Done.");
    return true;
  } catch (failure) {
    toast(`Not done: ${failure.message}`);
    return false;
  }
}

/** A key that nobody else has; `crypto.randomUUID` is there over https alone. */
const key = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** Send a mutation; where no answer comes, once more under the same key. */
async function send(operation, input) {
  try {
    return await ask("actions", { input }, operation);
  } catch (failure) {
    if (failure.code !== "UNAVAILABLE") throw failure;
    return ask("actions", { input }, operation);
  }
}
