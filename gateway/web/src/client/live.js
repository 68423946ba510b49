// Live updates by graphql-transport-ws: one connection for all that a page follows.
// The protocol: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md

import { authorization } from "./client.js";

const SLOWEST = 30_000;
const FORBIDDEN = 4403; // the token is not valid (any more)

/** @type {WeakMap<object, Live>} */
const connections = new WeakMap();

/**
 * Follows something. The first call has the present state, every later one a state that differs. A connection that is
 * lost comes back by itself.
 *
 * @template Data
 * @template Variables
 * @param {import("./client.js").Client} client
 * @param {import("./client.js").Document<Data, Variables>} document
 * @param {Variables} variables
 * @param {(data: Data) => void} next
 * @param {(failure: import("./client.js").Failure) => void} [failed] nothing more comes
 * @returns {() => void} ends it
 */
export function follow(client, document, variables, next, failed = () => {}) {
  const live = connections.get(client.origin) ?? new Live(client.origin);
  connections.set(client.origin, live);
  const payload = { query: document.text, variables: client.variables(document, variables) };
  return live.subscribe(payload, next, (error) => failed(client.failure(error)));
}

class Live {
  /** @param {import("./client.js").Client} client whose gateway and token it uses */
  constructor(client) {
    this._client = client;
    client.onReset(() => this._restart());
    /** What is followed, by the id of its messages. */
    this._followed = new Map();
    this._count = 0;
    this._failures = 0;
    this._renew = false;
    this._ready = false;
    /** @type {any} */
    this._socket = null;
    /** @type {any} */
    this._waiting = undefined;
  }

  /**
   * @param {{query: string, variables: any}} payload
   * @param {(data: any) => void} next
   * @param {(error: any) => void} failed
   * @returns {() => void} ends it
   */
  subscribe(payload, next, failed) {
    const id = String(++this._count);
    this._followed.set(id, { payload, next, failed });
    if (this._ready) this._begin(id);
    else if (!this._socket && !this._waiting) this._connect();
    return () => {
      if (this._followed.has(id) && this._ready) this._say({ id, type: "complete" });
      this._drop(id);
    };
  }

  /** Follows something no more; without anything to follow there is no connection. */
  _drop(id) {
    if (this._followed.delete(id) && !this._followed.size) this._leave();
  }

  /** Connects anew, as somebody else. */
  _restart() {
    this._leave();
    if (this._followed.size) this._connect();
  }

  _leave() {
    clearTimeout(this._waiting);
    this._waiting = undefined;
    this._ready = false;
    const socket = this._socket;
    this._socket = null;
    socket?.close(1000);
  }

  async _connect() {
    const mine = (this._socket = {});
    const token = await Promise.resolve(this._client.token(this._renew)).catch(() => null);
    if (this._socket !== mine) return; // it was left meanwhile
    const socket = new WebSocket(`${this._client.url.replace(/^http/, "ws")}graphql`, "graphql-transport-ws");
    this._socket = socket;
    socket.onopen = () => this._say({ type: "connection_init", payload: authorization(token) });
    socket.onmessage = ({ data }) => this._socket === socket && this._hear(JSON.parse(data));
    socket.onclose = ({ code, reason }) => this._socket === socket && this._lost(code, reason);
  }

  _say(message) {
    this._socket.send(JSON.stringify(message));
  }

  _begin(id) {
    this._say({ id, type: "subscribe", payload: this._followed.get(id).payload });
  }

  _hear({ type, id, payload }) {
    if (type === "ping") return this._say({ type: "pong" });
    if (type === "connection_ack") {
      this._ready = true;
      this._renew = false;
      return [...this._followed.keys()].forEach((each) => this._begin(each));
    }
    const followed = this._followed.get(id);
    if (!followed) return;
    if (type === "next") {
      this._failures = 0;
      const [error] = payload.errors ?? [];
      if (!error) return followed.next(payload.data);
      return this._end(id, error);
    }
    if (type === "error") this._end(id, payload[0]);
    if (type === "complete") this._drop(id);
  }

  _end(id, error) {
    const { failed } = this._followed.get(id);
    this._drop(id);
    failed(error);
  }

  /** Comes back after a while. Where the protocol was broken, or a fresh token is not taken either, nothing would help. */
  _lost(code, message) {
    const isRefused = code === FORBIDDEN && this._renew;
    this._ready = false;
    this._socket = null;
    if (isRefused || (code >= 4400 && code < 4500 && code !== FORBIDDEN)) {
      this._renew = false;
      const error = { message, extensions: { code: isRefused ? "UNAUTHENTICATED" : "NETWORK" } };
      return [...this._followed.keys()].forEach((id) => this._end(id, error));
    }
    if (!this._followed.size) return;
    this._renew = code === FORBIDDEN;
    const pause = Math.min(SLOWEST, 500 * 2 ** this._failures++) * (0.5 + Math.random());
    this._waiting = setTimeout(() => {
      this._waiting = undefined;
      this._connect();
    }, this._renew ? 0 : pause);
  }
}
