// The shop's only way to the server: documents for the public GraphQL API and the call that sends them.

import { authorization } from "./session.js";

export const PRICING = `query Pricing($currency: Currency, $locale: String!) {
  pricing(currency: $currency) {
    currency
    currencies
    products {
      product { id name description features unitLabel metadata { key value } }
      plans {
        id
        nickname
        interval
        intervalCount
        trialPeriodDays
        usageType
        viewer { action trialDays }
        amount { ...Amount }
        price {
          unitAmount { ...Amount }
          unitAmountDecimal
          tiersMode
          tiers {
            upTo
            unitAmount { ...Amount }
            unitAmountDecimal
            flatAmount { ...Amount }
          }
        }
      }
      oneTime {
        id
        nickname
        unitAmount { ...Amount }
        unitAmountDecimal
      }
    }
  }
}

fragment Amount on Money {
  amount
  currency
  decimal
  formatted(locale: $locale)
}`;

export const CREATE_CHECKOUT_SESSION = `mutation CreateCheckoutSession($input: CreateCheckoutSessionInput!) {
  createCheckoutSession(input: $input) {
    session { id url }
    userErrors { code message field }
  }
}`;

export const SESSION = `query Session($id: ID!, $locale: String!) {
  session(id: $id) {
    id
    status
    paymentStatus
    mode
    url
    amountTotal { formatted(locale: $locale) }
    lineItems { description quantity }
    subscription {
      id
      status
      quantity
      trialEnd
      currentPeriodEnd
      plan { nickname interval intervalCount product { name unitLabel } amount { formatted(locale: $locale) } }
    }
  }
}`;

export const SESSION_UPDATED = `subscription SessionUpdated($id: ID!) {
  sessionUpdated(id: $id) {
    status
    paymentStatus
    subscription { status }
  }
}`;

/** A failure in words for the buyer; `code` is the gateway's own, such as STRIPE_UNAVAILABLE. */
export class ApiError extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

const WORDS = {
  STRIPE_UNAVAILABLE: "Our payment partner cannot be reached right now. Please try again in a moment.",
  RATE_LIMITED: "That was a lot of requests at once. Please wait a moment and try again.",
};

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
    throw new ApiError("The shop cannot reach its server. Please check the connection and try again.", "NETWORK");
  }
  const [error] = answer.errors ?? [];
  if (error) throw new ApiError(WORDS[error.extensions?.code] ?? error.message, error.extensions?.code);
  return { data: answer.data, milliseconds: performance.now() - started };
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
