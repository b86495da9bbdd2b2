// A WebSocket without the client library, to see and to send exact bytes.

import { once } from 'node:events';
import net from 'node:net';
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

/** One WebSocket frame as a client writes it. `masked` false leaves the mask out. */
export function frame(opcode, payload = '', { fin = true, reserved = 0, masked = true } = {}) {
  const data = Buffer.from(payload);
  const first = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  const mark = masked ? 0x80 : 0;
  const head = data.length < 126
    ? Buffer.from([first, mark | data.length])
    : Buffer.from([first, mark | 126, data.length >> 8, data.length & 0xff]);
  const key = Buffer.from([0x11, 0x22, 0x33, 0x44]);
  if (!masked) return Buffer.concat([head, data]);
  return Buffer.concat([head, key, data.map((byte, i) => byte ^ key[i % 4])]);
}

/** A socket that has sent an upgrade request of its own making. `received` grows as bytes come. */
export class BareSocket {
  constructor(url, headers) {
    const { hostname, port, pathname, search } = new URL(url);
    const lines = Object.entries({ Host: `${hostname}:${port}`, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    this.chunks = new Inbox();
    const end = deferred();
    this.socket = net.connect(Number(port), hostname);
    this.socket.on('data', (chunk) => this.chunks.push(chunk));
    this.socket.on('error', () => {});
    this.socket.on('close', () => end.resolve());
    this.socket.write(`GET ${pathname}${search} HTTP/1.1\r\n${lines.join('')}\r\n`);
    this.ended = () => within(end.promise, 'the server to end the connection');
  }

  get received() {
    return Buffer.concat(this.chunks.items);
  }

  /** The head of the answer, once it is complete. */
  async head() {
    const whole = (chunks) => Buffer.concat(chunks).includes('\r\n\r\n');
    const text = Buffer.concat(await this.chunks.until(whole, 'an answer to the upgrade request')).toString('latin1');
    return text.slice(0, text.indexOf('\r\n\r\n'));
  }

  /** What came behind the head of the answer. */
  get body() {
    const { received } = this;
    return received.subarray(received.indexOf('\r\n\r\n') + 4);
  }
}
