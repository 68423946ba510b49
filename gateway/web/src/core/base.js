// What all elements share: a client, the reader's language, a shadow root with its style, and loading.

import { Client } from "../client/client.js";
import { button, problemPlace } from "./actions.js";
import { h } from "./dom.js";
import { BASE } from "./style.js";
import { Ui } from "./ui.js";
import { directionOf, languageOf, speaks, wordsFor } from "./words.js";

/** Where the gateway is: where these elements come from, if it serves them; else the page's own origin. */
const HOME = /^(.*\/)elements(\/(pricing-table|account|checkout-status|access))?\.js(\?.*)?$/.exec(import.meta.url)?.[1];

/** @type {Client | null} */
let shared = null;
const configured = new EventTarget();

/**
 * Says how the elements of this page reach the gateway, and who is signed in.
 *
 * @param {import("../client/client.js").Options} [options]
 * @returns {Client} the client that they use from now on
 */
export function configure(options = {}) {
  shared = new Client({ ...options, url: options.url ?? HOME });
  configured.dispatchEvent(new Event("change"));
  return shared;
}

const sharedClient = () => (shared ??= new Client({ url: HOME }));

/** @type {typeof HTMLElement} a class of the same name where there is no browser: a server may import this */
const Element = globalThis.HTMLElement ?? class {};

/** @type {Map<string, CSSStyleSheet>} */
const sheets = new Map();

/** A style that no Content-Security-Policy has to allow. */
function sheet(css) {
  const made = sheets.get(css) ?? new CSSStyleSheet();
  if (!sheets.has(css)) made.replaceSync(css);
  sheets.set(css, made);
  return made;
}

export class BillingElement extends Element {
  static styles = "";
  static observedAttributes = ["locale"];

  /** @type {Client | null} */
  _client = null;
  _turn = 0;
  _leave = () => {};

  /** The client of this element: its own, else that of `configure`. */
  get client() {
    return this._client ?? sharedClient();
  }

  set client(client) {
    this._client = client;
    if (this.isConnected) this._connect();
  }

  connectedCallback() {
    if (Object.hasOwn(this, "client")) {
      const given = this.client; // it was set before the element was defined
      delete (/** @type {any} */ (this).client);
      this._client = given;
    }
    if (!this.shadowRoot) {
      const root = this.attachShadow({ mode: "open" });
      const { styles } = /** @type {typeof BillingElement} */ (this.constructor);
      root.adoptedStyleSheets = [sheet(BASE), sheet(styles)];
    }
    this._connect();
  }

  disconnectedCallback() {
    this._turn += 1;
    this._leave();
    this.stop();
  }

  attributeChangedCallback(_name, before, now) {
    if (this.shadowRoot && this.isConnected && before !== now) this.reload();
  }

  _connect() {
    this._leave();
    const again = () => this._connect();
    const leave = this.client.onReset(() => this.reload());
    configured.addEventListener("change", again);
    this._leave = () => {
      leave();
      configured.removeEventListener("change", again);
    };
    this.reload();
  }

  /** Asks the gateway anew and shows the answer. What is asked for several times at once is done once. */
  async reload() {
    if (this.hasAttribute("own-client") && !this._client) return; // rendered by a server: its client comes
    const turn = ++this._turn;
    await null;
    if (turn !== this._turn || !this.isConnected) return;
    this.shadowRoot?.firstElementChild?.setAttribute("aria-busy", "true");
    const client = this.client.speaking(this._locale());
    try {
      const words = wordsFor(client.locale, client.url);
      const ui = new Ui(this, client, words);
      await this.load(ui, () => turn === this._turn);
    } catch (error) {
      if (turn === this._turn) this._show(failed(error, client, () => this.reload()));
    } finally {
      if (turn === this._turn) this.shadowRoot?.firstElementChild?.removeAttribute("aria-busy");
    }
  }

  /**
   * The element's own attribute, else what the client was given, else the language of the page around it, else the
   * reader's; of these the first that there are sentences in.
   */
  _locale() {
    const chosen = this.getAttribute("locale") ?? this.client.chosenLocale;
    const around = /** @type {HTMLElement | null} */ (this.closest("[lang]"))?.lang;
    const tag = [chosen, around, ...navigator.languages].find((each) => each && speaks(each)) ?? "en";
    // the reader's own way to write numbers and days, where it is of this language
    const own = tag.includes("-") ? null : navigator.languages.find((each) => languageOf(each) === languageOf(tag));
    return own ?? tag;
  }

  /** Replaces what is shown. What the page itself has put into the element keeps the page's language. */
  _show(...content) {
    const locale = this._locale();
    const shown = content.flat(Infinity).filter(Boolean);
    for (const each of shown)
      if (each.localName !== "slot") Object.assign(each, { lang: locale, dir: directionOf(locale) });
    this.shadowRoot?.replaceChildren(...shown);
  }

  /**
   * Loads and shows; each element has its own.
   *
   * @param {Ui} _ui
   * @param {() => boolean} _isCurrent false once something newer is asked for, or the element is gone
   * @returns {Promise<void>}
   */
  async load(_ui, _isCurrent) {}

  /** Ends what goes on while the element is shown. */
  stop() {}
}

/** What is shown when nothing else can be, perhaps not even the sentences. */
function failed(error, client, again) {
  console.warn(error);
  const { text } = error.failure ?? client.failure({ extensions: { code: "NETWORK" } });
  const place = problemPlace();
  place.append(h("p", {}, text));
  const retry = button(error.again ?? "Try again", "try-again", again, "button quiet");
  return h("div", { class: "failure", part: "failure", "data-testid": "failure" }, place, retry);
}

/**
 * Defines an element, unless there is one of that name or no browser at all.
 *
 * @param {string} name
 * @param {any} element
 */
export function define(name, element) {
  if (globalThis.customElements && !customElements.get(name)) customElements.define(name, element);
}
