// A WebSocket without the client library, to see and to send exact bytes.

import { once } from 'node:events';
import WebSocket from 'ws';
import { Inbox, deferred, within } from './wait.mjs';

export const END = '\u001e';
export const HANDSHAKE = `{"protocol":"json","version":1}${END}`;
export const PACK_HANDSHAKE = `{"protocol":"messagepack","version":1}${END}`;

/** One WebSocket: `messages` holds {text} or {bytes} as they come, `closed()` gives the close code. */
export class RawSocket {
  constructor(url) {
    this.messages = new Inbox();
    this.socket = new WebSocket(url.replace(/^http/, 'ws'));
    const end = deferred();
    this.socket.on('message', (data, isBinary) => this.messages.push(isBinary ? { bytes: data.toString('hex') } : { text: data.toString() }));
    this.socket.on('close', (code, reason) => end.resolve({ code, reason: reason.toString() }));
    this.socket.on('error', () => {});
    this.closed = () => within(end.promise, 'the WebSocket to close');
  }

  /** Opens one; `test` closes it at its end. */
  static async open(test, url) {
    const raw = new RawSocket(url);
    test.after(() => raw.socket.terminate());
    await within(once(raw.socket, 'open'), `a WebSocket to ${url}`);
    return raw;
  }

  /** Opens one and performs the JSON handshake. */
  static async handshaken(test, url, handshake = HANDSHAKE) {
    const raw = await RawSocket.open(test, url);
    raw.socket.send(handshake);
    await raw.messages.take(1, 'the handshake reply');
    return raw;
  }

  send(data) {
    this.socket.send(data);
  }

  /** All text received so far, once it contains `part`. */
  async text(part) {
    const joined = (items) => items.map((item) => item.text ?? '').join('');
    return joined(await this.messages.until((items) => joined(items).includes(part), `the text ${JSON.stringify(part)}`));
  }
}

/** The plain HTTP answer to a WebSocket request that the server refuses. */
export async function refusedUpgrade(url) {
  const socket = new WebSocket(url.replace(/^http/, 'ws'));
  const answer = deferred();
  socket.on('unexpected-response', (_, response) => answer.resolve(response));
  socket.on('open', () => answer.reject(new Error(`The WebSocket request to ${url} was accepted.`)));
  socket.on('error', (error) => answer.reject(error));
  const response = await within(answer.promise, `an answer to the WebSocket request to ${url}`);
  let body = '';
  for await (const chunk of response) body += chunk;
  return { status: response.statusCode, type: response.headers['content-type'] ?? null, body };
}
