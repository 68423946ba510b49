// For React 18 and later: the elements as components, and hooks that ask by the same client.
"use client";

import {
  createContext,
  createElement,
  useCallback,
  useContext,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { accessTo } from "./access/access.js";
import { createClient } from "./client/create.js";
import { follow } from "./client/live.js";
import "./account/account.js";
import "./status/checkout-status.js";
import "./table/pricing-table.js";

/** @typedef {import("./client/client.js").Client} Client */
/** @typedef {import("./client/client.js").Failure} Failure */

/** @type {import("react").Context<Client | null>} */
const Billing = createContext(/** @type {Client | null} */ (null));

const useBeforePaint = typeof window === "undefined" ? useEffect : useLayoutEffect;

/**
 * Gives all below it a client.
 *
 * @param {object} props
 * @param {string} props.url where the gateway is
 * @param {import("./client/client.js").TokenSource} [props.token] gives the signed-in user's token
 * @param {string | null} [props.user] who is signed in; where it changes, everything is asked anew
 * @param {string} [props.locale] the buyer's language
 * @param {import("react").ReactNode} [props.children]
 */
export function BillingProvider({ url, token, user = null, locale, children }) {
  const source = useRef(token);
  source.current = token;
  const client = useMemo(
    () => createClient({ url, locale, token: (renew) => source.current?.(renew) }),
    [url, locale, user],
  );
  return createElement(Billing.Provider, { value: client }, children);
}

/**
 * The client of the provider above.
 *
 * @returns {Client}
 */
export function useBilling() {
  const client = useContext(Billing);
  if (!client) throw new Error("there is no <BillingProvider> around this");
  return client;
}

/**
 * Asks something, and again when the variables change.
 *
 * @template Data
 * @template Variables
 * @param {import("./client/client.js").Document<Data, Variables>} document
 * @param {Variables} [variables]
 * @returns {{ data: Data | null, failure: Failure | null, loading: boolean, reload: () => void }}
 */
export function useBillingQuery(document, variables) {
  const client = useBilling();
  const key = JSON.stringify(variables ?? {});
  return useAsked(useCallback(() => client.query(document, JSON.parse(key)), [client, document, key]));
}

/**
 * Follows something for as long as the component is there.
 *
 * @template Data
 * @template Variables
 * @param {import("./client/client.js").Document<Data, Variables>} document
 * @param {Variables} variables
 * @returns {{ data: Data | null, failure: Failure | null }}
 */
export function useBillingLive(document, variables) {
  const client = useBilling();
  const key = JSON.stringify(variables);
  const [state, setState] = useState(nothing);
  useEffect(() => {
    setState(nothing);
    const show = (data) => setState({ data, failure: null });
    return follow(client, document, JSON.parse(key), show, (failure) => setState({ data: null, failure }));
  }, [client, document, key]);
  return state;
}

/** @type {{ data: any, failure: any }} */
const nothing = { data: null, failure: null };

/**
 * Whether the signed-in user may use a feature. It is for what a page shows: what must not be done is refused by the
 * application's own back end.
 *
 * @param {string} feature
 * @returns {{ allowed: boolean, access: import("./access/access.js").Access | null, failure: Failure | null, loading: boolean, reload: () => void }}
 */
export function useAccess(feature) {
  const client = useBilling();
  const { data, ...rest } = useAsked(useCallback(() => accessTo(client, feature), [client, feature]));
  return { allowed: data?.allowed ?? false, access: data, ...rest };
}

/**
 * @template Data
 * @param {() => Promise<import("./client/client.js").Result<Data>>} ask
 * @returns {{ data: Data | null, failure: Failure | null, loading: boolean, reload: () => void }}
 */
function useAsked(ask) {
  const [turn, setTurn] = useState(0);
  const [state, setState] = useState({ ...nothing, loading: true });
  useEffect(() => {
    let isCurrent = true;
    setState((before) => ({ ...before, loading: true }));
    ask().then((result) => {
      if (!isCurrent) return;
      setState(result.ok ? { data: result.data, failure: null, loading: false } : { ...result, data: null, loading: false });
    });
    return () => {
      isCurrent = false;
    };
  }, [ask, turn]);
  return { ...state, reload: useCallback(() => setTurn((before) => before + 1), []) };
}

/**
 * Makes a component of an element: `accountUrl` is its attribute `account-url`, `onSelect` hears its `billing-select`.
 *
 * @param {string} tag
 * @returns {import("react").FC<any>}
 */
function component(tag) {
  return function Element({ children, ...props }) {
    const client = useBilling();
    const ref = useRef(/** @type {any} */ (null));
    const heard = useRef(props);
    heard.current = props;
    const names = Object.keys(props).filter((name) => /^on[A-Z]/.test(name)).join(" ");
    useBeforePaint(() => {
      ref.current.client = client;
    }, [client]);
    useBeforePaint(() => {
      const element = ref.current;
      const events = names.split(" ").filter(Boolean).map((name) => [eventOf(name), (event) => heard.current[name]?.(event)]);
      for (const [type, listener] of events) element.addEventListener(type, listener);
      return () => {
        for (const [type, listener] of events) element.removeEventListener(type, listener);
      };
    }, [names]);
    const given = Object.entries(props).filter(([name, value]) => !/^on[A-Z]/.test(name) && value != null && value !== false);
    const attributes = given.map(([name, value]) => [NAMES[name] ?? dashed(name), value === true ? "" : value]);
    return createElement(tag, { ...Object.fromEntries(attributes), "own-client": "", ref }, children);
  };
}

const NAMES = { className: "class" };
const dashed = (name) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const eventOf = (name) => `billing${dashed(name.slice(2))}`;

/**
 * What all components take beside their own.
 *
 * @typedef {object} Common
 * @property {string} [locale] the reader's language, where it is not the client's
 * @property {string} [className]
 * @property {string} [id]
 * @property {(event: CustomEvent<{ document: string, variables: object, data: any, milliseconds: number }>) => void} [onLoad]
 * @property {(event: CustomEvent<Failure>) => void} [onError]
 * @property {import("react").ReactNode} [children]
 */

/** @type {import("react").FC<Common & { currency?: string, country?: string, interval?: string, products?: string, successUrl?: string, cancelUrl?: string, accountUrl?: string, promotionCodes?: boolean, onSelect?: (event: CustomEvent<import("./types.js").CreateCheckoutSessionInput>) => void, onChoose?: (event: CustomEvent<{ interval: string | null, currency: string | null }>) => void }>} */
export const PricingTable = component("billing-pricing-table");

/** @type {import("react").FC<Common & { plansUrl?: string, meter?: string, onDone?: (event: CustomEvent<{ notice: string }>) => void }>} */
export const Account = component("billing-account");

/** @type {import("react").FC<Common & { sessionId?: string, onStatus?: (event: CustomEvent<{ title: string }>) => void, onSettled?: (event: CustomEvent<import("./types.js").SessionQuery["session"]>) => void }>} */
export const CheckoutStatus = component("billing-checkout-status");

/** @type {import("react").FC<Common & { feature: string, live?: boolean, onAccess?: (event: CustomEvent<import("./access/access.js").Access | null>) => void }>} */
export const AccessGate = component("billing-access");
