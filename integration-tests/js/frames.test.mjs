// The upgrade request and the frames of a WebSocket, right and wrong, byte by byte.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { startPeer } from './support/server.mjs';
import { BareSocket, END, HANDSHAKE, RawSocket, frame } from './support/raw.mjs';
import { within } from './support/wait.mjs';

let server;
before(async () => { server = await startPeer(); });
after(() => server?.kill());

const UPGRADE = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', // the example of RFC 6455, section 1.3
};
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

const ACCEPTED = [
  ['as it should be', {}],
  ['several connection options', { Connection: 'keep-alive, upgrade' }],
  ['other letters', { Upgrade: 'WebSocket' }],
  ['sub-protocols', { 'Sec-WebSocket-Protocol': 'a, b' }],
  ['extensions', { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' }],
];

for (const [name, headers] of ACCEPTED) {
  test(`an upgrade is accepted: ${name}`, async (t) => {
    const [status, ...lines] = (await ask(t, headers).head()).split('\r\n');
    const answer = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]));
    assert.equal(status, 'HTTP/1.1 101 Switching Protocols');
    assert.equal(answer.get('sec-websocket-accept'), ACCEPT);
    assert.equal(answer.get('connection').toLowerCase(), 'upgrade');
    assert.equal(answer.get('upgrade').toLowerCase(), 'websocket');
    assert.equal(answer.has('sec-websocket-protocol'), false);
    assert.equal(answer.has('sec-websocket-extensions'), false);
  });
}

// Not a WebSocket request, hence a poll, which needs an id.
const NOT_AN_UPGRADE = [
  ['no key', { 'Sec-WebSocket-Key': undefined }],
  ['a short key', { 'Sec-WebSocket-Key': 'abc' }],
  ['a key that is no base64', { 'Sec-WebSocket-Key': '!!!!' }],
  ['no version', { 'Sec-WebSocket-Version': undefined }],
  ['an old version', { 'Sec-WebSocket-Version': '8' }],
  ['no Connection: upgrade', { Connection: 'keep-alive' }],
  ['no Upgrade', { Upgrade: undefined }],
  ['another protocol', { Upgrade: 'h2c' }],
];

for (const [name, headers] of NOT_AN_UPGRADE) {
  test(`a botched upgrade is no WebSocket: ${name}`, async (t) => {
    const bare = ask(t, headers);
    const head = await bare.head();
    assert.match(head, /^HTTP\/1\.1 400 Bad Request\r\n/);
    assert.match(head, /^cache-control: no-cache, no-store$/im);
    assert.match(head, /^pragma: no-cache$/im);
    assert.match(head, /^expires: Thu, 01 Jan 1970 00:00:00 GMT$/im);
    await bare.chunks.until(() => bare.body.includes('Connection ID required'), 'the text of the answer');
  });
}

test('a message in many fragments, with a ping between them', async (t) => {
  const raw = await RawSocket.handshaken(t, `${server.url}/scale`);
  const call = `{"type":1,"invocationId":"1","target":"Echo","arguments":["grüße 😀"]}${END}`;
  const pong = once(raw.socket, 'pong');
  const bytes = Buffer.from(call);
  for (let i = 0; i < bytes.length; i += 3) {
    raw.socket.send(bytes.subarray(i, i + 3), { binary: false, fin: i + 3 >= bytes.length });
    if (i === 9) raw.socket.ping('between');
  }
  assert.ok(await raw.text('"result":"grüße \\uD83D\\uDE00"'));
  const [payload] = await within(pong, 'a pong');
  assert.equal(payload.toString(), 'between');
});

test('frames that come one byte at a time', async (t) => {
  const bare = await opened(t);
  for (const byte of frame(1, HANDSHAKE)) bare.socket.write(Buffer.from([byte]));
  await bare.chunks.until(() => bare.body.length >= 5, 'the handshake reply');
  assert.equal(bare.body.toString('hex'), '81037b7d1e');
});

test('several frames in one packet, and messages across frames', async (t) => {
  const bare = await opened(t);
  const call = (id) => `{"type":1,"invocationId":"${id}","target":"Echo","arguments":[${id}]}${END}`;
  const [one, two] = [call(1), call(2)];
  bare.socket.write(Buffer.concat([frame(1, HANDSHAKE + one + two.slice(0, 9)), frame(2, two.slice(9)), frame(1, call(3))]));
  await bare.chunks.until(() => bare.body.includes('"result":3}'), 'three results');
  assert.ok(bare.body.includes('"result":1}') && bare.body.includes('"result":2}'));
});

test('Close drops what was not sent yet, and is answered', async (t) => {
  const bare = await opened(t);
  bare.socket.write(Buffer.concat([frame(1, HANDSHAKE), frame(8, Buffer.from([0x03, 0xe8]))]));
  await bare.ended();
  assert.equal(bare.body.subarray(-4).toString('hex'), '880203e8');
});

const CLOSE_CODES = [['an empty Close', ''], ['1000', '03e8'], ['1001', '03e9'], ['3000 with a reason', '0bb862796521'], ['4999', '1387']];

for (const [name, payload] of CLOSE_CODES) {
  test(`Close is answered with 1000: ${name}`, async (t) => {
    const bare = await opened(t, frame(1, HANDSHAKE));
    await bare.chunks.until(() => bare.body.length >= 5, 'the handshake reply');
    bare.socket.write(frame(8, Buffer.from(payload, 'hex')));
    await bare.ended();
    assert.equal(bare.body.subarray(5).toString('hex'), '880203e8');
  });
}

// Each breaks RFC 6455; the server says 1002 (protocol error), and others are not disturbed. Frames without a mask are
// missing here, because the reference lets them pass.
const WRONG_FRAMES = [
  ['a reserved bit', () => frame(1, 'x', { reserved: 4 })],
  ['an unknown data opcode', () => frame(3, 'x')],
  ['an unknown control opcode', () => frame(11, 'x')],
  ['a fragmented ping', () => frame(9, 'x', { fin: false })],
  ['a ping of 126 bytes', () => frame(9, 'x'.repeat(126))],
  ['a continuation of nothing', () => frame(0, 'x')],
  ['a new message inside another', () => Buffer.concat([frame(1, 'x', { fin: false }), frame(1, 'y')])],
];

for (const [name, bytes] of WRONG_FRAMES) {
  test(`a wrong frame ends the connection: ${name}`, async (t) => {
    const good = await RawSocket.handshaken(t, `${server.url}/scale`);
    const bare = await opened(t, frame(1, HANDSHAKE));
    await bare.chunks.until(() => bare.body.length >= 5, 'the handshake reply');
    bare.socket.write(bytes());
    await bare.chunks.until(() => bare.body.length >= 9, 'a Close frame');
    assert.equal(bare.body.subarray(5).toString('hex'), '880203ea');
    good.send(`{"type":1,"invocationId":"1","target":"Echo","arguments":["unharmed"]}${END}`);
    assert.ok(await good.text('"result":"unharmed"'));
  });
}

function ask(t, headers = {}) {
  const all = Object.entries({ ...UPGRADE, ...headers }).filter(([, value]) => value !== undefined);
  const bare = new BareSocket(`${server.url}/scale`, Object.fromEntries(all));
  t.after(() => bare.socket.destroy());
  return bare;
}

/** A socket whose upgrade was accepted, and which has sent `first`. */
async function opened(t, first = '') {
  const bare = ask(t);
  await bare.head();
  bare.socket.write(first);
  return bare;
}
