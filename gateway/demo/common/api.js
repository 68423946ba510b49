// The only way to the server: the public GraphQL API.

import { has, text } from "./language.js";
import { authorization } from "./session.js";

/** A failure in words for the buyer; `code` is the gateway's own, such as STRIPE_UNAVAILABLE. */
export class ApiError extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

/**
 * Sends a document.
 *
 * @returns {Promise<{data: object, milliseconds: number}>}
 * @throws {ApiError} when there is no answer, or it carries errors
 */
export async function send(query, variables) {
  const started = performance.now();
  let response, answer;
  try {
    response = await fetch("/graphql", {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json", ...authorization() },
      body: JSON.stringify({ query, variables }),
    });
    answer = await response.json();
  } catch {
    throw new ApiError(text("failures.NETWORK"), "NETWORK");
  }
  const [error] = answer.errors ?? [];
  if (error) throw new ApiError(inWords(error), error.extensions?.code);
  return { data: answer.data, milliseconds: performance.now() - started };
}

/** The gateway's messages are for developers: buyers are told by the code. */
function inWords({ message, extensions }) {
  console.warn(message);
  const name = `failures.${extensions?.code}`;
  return text(has(name) ? name : "failures.OTHER");
}

/**
 * Follows a subscription by the browser's own WebSocket (graphql-transport-ws). Where that does not work it is silent:
 * who has to know also asks now and then.
 *
 * @param {() => void} told is called for the present state and for every later one
 * @returns {() => void} ends it
 */
export function follow(query, variables, told) {
  const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/graphql`, "graphql-transport-ws");
  const say = (message) => socket.send(JSON.stringify(message));
  socket.onopen = () => say({ type: "connection_init", payload: authorization() });
  socket.onmessage = ({ data }) => {
    const { type } = JSON.parse(data);
    if (type === "connection_ack") say({ id: "1", type: "subscribe", payload: { query, variables } });
    if (type === "next") told();
  };
  return () => socket.close();
}
