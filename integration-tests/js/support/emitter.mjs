// Sends to the clients of a fleet from outside, written from `crates/signalr-backplane-redis/FORMAT.md` alone: no library for
// SignalR, MessagePack or Redis, so that the test that uses it shows that the document says enough.

import { connect } from 'node:net';
import { once } from 'node:events';
import { Inbox } from './wait.mjs';

const END = '\u001e';
const NIL = Buffer.from([0xc0]);

/** Bytes of a MessagePack value: null, a number, a text, bytes, or an array of values. */
export function pack(value) {
  if (value === null) return NIL;
  if (Buffer.isBuffer(value)) return Buffer.concat([head(value.length, [0xc4, 0xc5, 0xc6]), value]);
  if (typeof value === 'string') {
    const bytes = Buffer.from(value);
    const short = bytes.length < 32 ? Buffer.from([0xa0 | bytes.length]) : head(bytes.length, [0xd9, 0xda, 0xdb]);
    return Buffer.concat([short, bytes]);
  }
  if (Array.isArray(value)) return Buffer.concat([head(value.length, [undefined, 0xdc, 0xdd], 0x90), ...value.map(pack)]);
  if (Number.isInteger(value) && value >= 0 && value < 128) return Buffer.from([value]);
  throw new Error(`not needed here: ${value}`);
}

/** An invocation: who must not get it, the message in both protocols, and where the answer goes, if one is wanted. */
export function invocation(target, args, { excluded = [], id, returnChannel } = {}) {
  const json = `${JSON.stringify({ type: 1, ...(id && { invocationId: id }), target, arguments: args })}${END}`;
  const body = Buffer.concat([Buffer.from([0x96, 1, 0x80]), ...[id ?? null, target, args, []].map(pack)]);
  const payloads = Buffer.concat([
    Buffer.from([0x82]), pack('json'), pack(Buffer.from(json)), pack('messagepack'), pack(Buffer.concat([varint(body.length), body])),
  ]);
  const items = [pack(excluded), payloads, ...(id ? [pack(id), pack(returnChannel)] : [])];
  return Buffer.concat([Buffer.from([0x90 | items.length]), ...items]);
}

/** A command to change a group: `action` is 1 to add and 2 to remove. */
export const groupCommand = (id, server, action, group, connection) => pack([id, server, action, group, connection]);

/** One connection to Redis. What arrives on a channel goes to `messages` as [channel, bytes]. */
export class Redis {
  #socket;
  #rest = Buffer.alloc(0);
  #replies = [];
  messages = new Inbox();

  static async open(test, port) {
    const redis = new Redis();
    redis.#socket = connect(port, '127.0.0.1');
    test.after(() => redis.#socket.destroy());
    redis.#socket.on('data', (bytes) => redis.#read(bytes));
    await once(redis.#socket, 'connect');
    return redis;
  }

  /** Resolves with the number of servers that got it. */
  publish(channel, bytes) {
    return this.#command(['PUBLISH', channel, bytes]);
  }

  /** From now on this connection only receives. */
  subscribe(channel) {
    return this.#command(['SUBSCRIBE', channel]);
  }

  #command(words) {
    const parts = words.map((word) => Buffer.from(word)).flatMap((word) => [Buffer.from(`$${word.length}\r\n`), word, Buffer.from('\r\n')]);
    this.#socket.write(Buffer.concat([Buffer.from(`*${words.length}\r\n`), ...parts]));
    return new Promise((resolve, reject) => { this.#replies.push({ resolve, reject }); });
  }

  #read(bytes) {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (;;) {
      const found = reply(this.#rest, 0);
      if (!found) return;
      this.#rest = this.#rest.subarray(found.end);
      const { value } = found;
      if (Array.isArray(value) && value[0].toString() === 'message') this.messages.push([value[1].toString(), value[2]]);
      else if (value instanceof Error) this.#replies.shift().reject(value);
      else this.#replies.shift().resolve(value);
    }
  }
}

/** The reply that begins at `at`, and where it ends; undefined while it is not whole. */
function reply(bytes, at) {
  const line = bytes.indexOf('\r\n', at);
  if (line < 0) return undefined;
  const [kind, text, next] = [String.fromCharCode(bytes[at]), bytes.toString('utf8', at + 1, line), line + 2];
  if (kind === ':') return { value: Number(text), end: next };
  if (kind === '-') return { value: new Error(text), end: next };
  if (kind === '$') {
    const end = next + Number(text);
    return end + 2 <= bytes.length ? { value: bytes.subarray(next, end), end: end + 2 } : undefined;
  }
  if (kind !== '*') throw new Error(`a reply that was not expected: ${kind}${text}`);
  const value = [];
  let end = next;
  for (let i = 0; i < Number(text); i += 1) {
    const item = reply(bytes, end);
    if (!item) return undefined;
    value.push(item.value);
    ({ end } = item);
  }
  return { value, end };
}

/** The first bytes of something with a length: one byte that holds it, or a code and 8, 16 or 32 bits. */
function head(length, [in8, in16, in32], fixed) {
  if (fixed !== undefined && length < 16) return Buffer.from([fixed | length]);
  if (in8 !== undefined && length < 0x100) return Buffer.from([in8, length]);
  if (length < 0x1_0000) return Buffer.from([in16, length >> 8, length & 0xff]);
  return Buffer.from([in32, length >>> 24, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff]);
}

/** The length before a MessagePack message of a hub: seven bits in each byte, the lowest first. */
function varint(length) {
  const bytes = [];
  let rest = length;
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return Buffer.from(bytes);
}
