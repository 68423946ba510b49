// What the parts of an element need: the client, the reader's words, and a way to tell the page.

import { Refused } from "./actions.js";

/** @type {(...given: any[]) => any} */
const tooEarly = () => {
  throw new Error("the words have not come yet: wait for `ready`");
};

export class Ui {
  /**
   * @param {HTMLElement} host the element
   * @param {import("../client/client.js").Client} client speaks the reader's language
   * @param {Promise<import("./words.js").Words>} words come while the answers do
   */
  constructor(host, client, words) {
    this.host = host;
    this.client = client;
    this.locale = client.locale;
    this._words = words;
    words.catch(() => {}); // it is waited for below
  }

  text = tooEarly;
  has = tooEarly;
  number = tooEarly;
  day = tooEarly;
  units = tooEarly;

  /** Waits for the words; from then on `text` and the like are there, and failures are told in them too. */
  async ready() {
    const words = await this._words;
    this.client = this.client.speaking(this.locale, words.failures);
    const { text, has, number, day, units } = words;
    Object.assign(this, { text, has, number, day, units });
  }

  /**
   * Asks something and tells the page what came.
   *
   * @template Data
   * @template Variables
   * @param {import("../client/client.js").Document<Data, Variables>} document
   * @param {Variables} variables
   * @param {{ guest?: boolean }} [as]
   * @returns {Promise<Data>}
   * @throws {Refused}
   */
  async send(document, variables, as) {
    const started = performance.now();
    const result = await this.client.query(document, variables, as);
    if (!result.ok) throw this.refused((await this._inWords(result.failure)) ?? result.failure);
    const all = { locale: this.locale, ...variables };
    const milliseconds = performance.now() - started;
    this.emit("billing-load", { document: document.text, variables: all, data: result.data, milliseconds });
    return result.data;
  }

  /**
   * Sends a mutation.
   *
   * @template {Record<string, any>} Data
   * @template {{ input: any }} Variables
   * @param {import("../client/client.js").Document<Data, Variables>} document
   * @param {Variables["input"]} input
   * @returns {Promise<Data[keyof Data]>} its payload
   * @throws {Refused} when there is something to fix
   */
  async mutate(document, input) {
    const result = await this.client.mutate(document, input);
    if (!result.ok) throw this.refused(result.failure);
    return result.data;
  }

  /**
   * Tells the page.
   *
   * @param {string} type such as "billing-load"
   * @param {object | null} detail
   * @returns {boolean} whether the page leaves it to the element
   */
  emit(type, detail) {
    return this.host.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true, cancelable: true }));
  }

  /** The same failure in the reader's language, where the words have come meanwhile. */
  async _inWords(failure) {
    const words = await this._words.catch(() => null);
    return words && this.client.speaking(this.locale, words.failures).failure({ ...failure, extensions: failure });
  }

  /** A failure as an error, which the page is told of. @param {import("../client/client.js").Failure} failure */
  refused(failure) {
    console.warn(failure.message);
    this.emit("billing-error", failure);
    return new Refused(failure);
  }
}
