// The way to the gateway's GraphQL API from a browser: typed results instead of exceptions, and no dependency.

/** What buyers are told where nobody has said how. */
const SORRY = "Something went wrong. Please try again in a moment.";

/**
 * A document that the gateway knows by its SHA-256. `documents/` has those that are generated.
 *
 * @template Data
 * @template Variables
 * @typedef {{ id?: string, text: string, get?: boolean, readonly _?: [Data, Variables] }} Document
 */

/** @typedef {{ code: string, text: string, field?: string | null }} Problem what the caller can fix */

/**
 * Why there is no answer. `code` is the gateway's own, or NETWORK; `text` is for buyers, in the client's language;
 * `message` is for developers.
 *
 * @typedef {{ code: string, text: string, message: string, retryAfter?: number, problems: Problem[] }} Failure
 */

/**
 * @template Data
 * @typedef {{ ok: true, data: Data } | { ok: false, failure: Failure }} Result
 */

/**
 * Gives the signed-in user's token, from wherever the application has it; nothing for a guest.
 *
 * @typedef {(renew: boolean) => string | null | undefined | Promise<string | null | undefined>} TokenSource
 */

/**
 * @typedef {object} Options
 * @property {string} [url] where the gateway is; else the origin of the page
 * @property {TokenSource} [token] is asked before each request, and with `true` once more when its token has expired
 * @property {string} [locale] the buyer's language, such as de-CH; else the browser's
 * @property {Record<string, string>} [sentences] what buyers are told of a failure, by its code; OTHER is for all others
 * @property {typeof fetch} [fetch] sends requests; else the browser's own
 */

export class Client {
  /** @param {Options} [options] */
  constructor({ url, token, locale, sentences, fetch: send } = {}) {
    /** Where the gateway is, with a slash at its end. */
    this.url = new URL(url ?? "/", globalThis.location?.href).href.replace(/\/*$/, "/");
    /** What was asked for, if anything was. */
    this.chosenLocale = locale;
    this.locale = locale ?? globalThis.navigator?.language ?? "en";
    this.token = token ?? (() => null);
    this._send = send ?? ((...request) => fetch(...request));
    this._sentences = sentences ?? {};
    this._changes = new EventTarget();
    /** The client that this one was made of (`speaking`): the two have one live connection. */
    this.origin = this;
  }

  /**
   * Asks something. `locale` is filled in where the document has it.
   *
   * @template Data
   * @template Variables
   * @param {Document<Data, Variables>} document
   * @param {Variables} [variables]
   * @param {{ guest?: boolean }} [as] with `guest` nobody's token is sent
   * @returns {Promise<Result<Data>>}
   */
  async query(document, variables, { guest = false } = {}) {
    let answer = await this._ask(document, variables, guest ? () => null : () => this.token(false));
    if (codeOf(answer) === "UNAUTHENTICATED" && !guest) answer = (await this._again(document, variables)) ?? answer;
    const [error] = answer.errors ?? [];
    return error ? { ok: false, failure: this.failure(error) } : { ok: true, data: answer.data };
  }

  /**
   * Sends a mutation with one `input`. What its `userErrors` name is a failure with `problems`.
   *
   * @template {Record<string, any>} Data
   * @template {{ input: any }} Variables
   * @param {Document<Data, Variables>} document
   * @param {Variables["input"]} input
   * @returns {Promise<Result<Data[keyof Data]>>} the payload
   */
  async mutate(document, input) {
    const result = await this.query(document, /** @type {Variables} */ ({ input }));
    if (!result.ok) return result;
    const [payload] = Object.values(result.data);
    /** @type {(Problem & { message?: string })[]} */
    const problems = payload.userErrors ?? [];
    if (!problems.length) return { ok: true, data: payload };
    const text = [...new Set(problems.map((each) => each.text))].join(" ");
    return { ok: false, failure: { code: problems[0].code, text, message: problems[0].message ?? text, problems } };
  }

  /**
   * The same client in another language.
   *
   * @param {string} locale
   * @param {Record<string, string>} [sentences] see `Options`
   * @returns {Client}
   */
  speaking(locale, sentences = this._sentences) {
    return Object.create(this, { locale: { value: locale }, _sentences: { value: sentences } });
  }

  /** Whether the application has a token. */
  async isSignedIn() {
    return Boolean(await Promise.resolve(this.token(false)).catch(() => null));
  }

  /** Says that somebody has signed in or out: what is followed begins anew, and so do the elements. */
  reset() {
    this._changes.dispatchEvent(new Event("reset"));
  }

  /**
   * @param {() => void} listener is called by `reset`
   * @returns {() => void} ends it
   */
  onReset(listener) {
    this._changes.addEventListener("reset", listener);
    return () => this._changes.removeEventListener("reset", listener);
  }

  /**
   * An error of GraphQL in words for the buyer. The gateway's own messages are for developers.
   *
   * @param {any} error
   * @returns {Failure}
   */
  failure({ message, extensions: { code = "INTERNAL", retryAfter } = /** @type {any} */ ({}) }) {
    const text = this._sentences[code] ?? this._sentences.OTHER ?? SORRY;
    return { code, text, message, retryAfter, problems: [] };
  }

  /** A document's variables, with the locale where it has one. */
  variables({ text }, given) {
    return text.includes("$locale") ? { locale: this.locale, ...given } : given;
  }

  /** Asks with a fresh token; never as a guest, who would buy for nobody and see an empty account. */
  async _again(document, variables) {
    const token = await Promise.resolve(this.token(true)).catch(() => null);
    return token ? this._ask(document, variables, () => token) : null;
  }

  /** Names the document by its hash; where the gateway does not know it, sends it too. */
  async _ask(document, variables, source) {
    try {
      const token = await source();
      const asked = { variables: this.variables(document, variables) ?? {} };
      const { id, text } = document;
      if (!id) return await this._post({ query: text, ...asked }, token);
      const named = { ...asked, extensions: { persistedQuery: { version: 1, sha256Hash: id } } };
      const answer = await (document.get && !token ? this._get(named) : this._post(named, token));
      return codeOf(answer) === "PERSISTED_QUERY_NOT_FOUND" ? await this._post({ query: text, ...named }, token) : answer;
    } catch (error) {
      return errors("NETWORK", String(error));
    }
  }

  /** What is the same for everybody may come from a cache, and needs no permission of the browser's beforehand. */
  _get(request) {
    const entries = Object.entries(request).map(([name, value]) => [name, JSON.stringify(value)]);
    return this._fetch(`${this.url}graphql?${new URLSearchParams(entries)}`, {});
  }

  _post(request, token) {
    const headers = { "Content-Type": "application/json", ...authorization(token) };
    return this._fetch(`${this.url}graphql`, { method: "POST", headers, body: JSON.stringify(request) });
  }

  /** @param {string} address @param {RequestInit} request */
  async _fetch(address, { headers, ...rest }) {
    const response = await this._send(address, { ...rest, headers: { Accept: "application/json", ...headers } });
    const { data, errors } = await response.json();
    if (!data && !errors?.[0]) throw response.status; // a proxy has JSON of its own for an error
    return { data, errors: errors ?? [] };
  }
}

/** @param {string | null | undefined} token @returns {Record<string, string>} */
export const authorization = (token) => (token ? { Authorization: `Bearer ${token}` } : {});

/** @param {{ errors?: any[] }} answer */
const codeOf = ({ errors: [error] = [] }) => error?.extensions?.code;

const errors = (code, message) => ({ errors: [{ message, extensions: { code } }] });
