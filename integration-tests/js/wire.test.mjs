// The WebSocket end point without the client library: wrong requests, the handshake, closing, to the byte.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startPeer } from './support/server.mjs';
import { END, HANDSHAKE, PACK_HANDSHAKE, RawSocket, refusedUpgrade } from './support/raw.mjs';
import { poll } from './support/wait.mjs';

let server;
let strict;
before(async () => {
  const flags = ['--detailed-errors', '--handshake-timeout-ms', '1000', '--client-timeout-ms', '1000', '--max-receive', '500'];
  [server, strict] = await Promise.all([startPeer(), startPeer(flags)]);
});
after(() => Promise.all([server?.kill(), strict?.kill()]));

const NO_ID = { status: 400, type: 'text/plain', body: 'Connection ID required' };
const UNKNOWN = { status: 404, type: 'text/plain', body: 'No Connection with that ID' };
const NOT_ALLOWED = { status: 405, type: 'text/plain', body: '' };

const WRONG_REQUESTS = [
  ['GET', '', NO_ID],
  ['GET', '?id=', NO_ID],
  ['GET', '?id=unknown', UNKNOWN],
  ['POST', '', NO_ID],
  ['POST', '?id=', NO_ID],
  ['POST', '?id=unknown', UNKNOWN],
  ['DELETE', '', NO_ID],
  ['DELETE', '?id=unknown', UNKNOWN],
  ['PUT', '', NOT_ALLOWED],
  ['PATCH', '?id=unknown', NOT_ALLOWED],
  ['HEAD', '', NOT_ALLOWED],
];

for (const [method, query, expected] of WRONG_REQUESTS) {
  test(`${method} /scale${query}`, async () => {
    assert.deepEqual(await request(method, `/scale${query}`), expected);
  });
}

test('a WebSocket with an unknown id', async () => {
  assert.deepEqual(await refusedUpgrade(`${server.url}/scale?id=unknown`), { status: 404, type: null, body: 'No Connection with that ID' });
});

test('the public id is not the token', async () => {
  const { connectionId } = await negotiate(1);
  assert.equal((await refusedUpgrade(`${server.url}/scale?id=${connectionId}`)).status, 404);
});

test('with version 0 the id is the token', async (t) => {
  const { connectionId } = await negotiate(0);
  const raw = await RawSocket.handshaken(t, `${server.url}/scale?id=${connectionId}`);
  raw.send(`{"type":1,"invocationId":"1","target":"GetConnectionId","arguments":[]}${END}`);
  assert.ok(await raw.text(`{"type":3,"invocationId":"1","result":"${connectionId}"}${END}`));
});

test('a connection in use takes no second WebSocket, no POST and no DELETE', async (t) => {
  const { connectionToken } = await negotiate(1);
  const path = `/scale?id=${connectionToken}`;
  const raw = await RawSocket.handshaken(t, server.url + path);
  assert.deepEqual(await refusedUpgrade(server.url + path), { status: 409, type: 'text/plain', body: '' });
  assert.deepEqual(await request('POST', path, 'x'), { status: 405, type: 'text/plain', body: 'POST requests are not allowed for WebSocket connections.' });
  assert.deepEqual(await request('DELETE', path), { status: 400, type: 'text/plain', body: 'Cannot terminate this connection using the DELETE endpoint.' });
  raw.send(`{"type":1,"invocationId":"1","target":"Echo","arguments":["fine"]}${END}`);
  assert.ok(await raw.text('"result":"fine"'), 'the first one goes on');
});

test('a connection that has ended is unknown', async (t) => {
  const { connectionToken } = await negotiate(1);
  const raw = await RawSocket.handshaken(t, `${server.url}/scale?id=${connectionToken}`);
  raw.socket.close();
  await raw.closed();
  // Until its clean-up is through it counts as in use.
  const again = async () => (await refusedUpgrade(`${server.url}/scale?id=${connectionToken}`)).status;
  await poll(async () => (await again()) === 404, 'the connection to be forgotten');
  assert.equal(await again(), 404);
});

test('no sub-protocol is chosen, whatever is asked for', async (t) => {
  const raw = await RawSocket.open(t, `${server.url}/scale`);
  assert.equal(raw.socket.protocol, '');
});

test('the handshake reply is {} in the format of the protocol', async (t) => {
  const json = await RawSocket.handshaken(t, `${server.url}/scale`);
  assert.deepEqual(json.messages.items[0], { text: `{}${END}` });
  const pack = await RawSocket.handshaken(t, `${server.url}/scale`, PACK_HANDSHAKE);
  assert.deepEqual(pack.messages.items[0], { bytes: '7b7d1e' });
});

test('a handshake may come in pieces, with messages behind it, in text or binary frames', async (t) => {
  const raw = await RawSocket.open(t, `${server.url}/scale`);
  const call = `{"type":1,"invocationId":"1","target":"Echo","arguments":["one"]}${END}`;
  for (const character of HANDSHAKE.slice(0, -1)) raw.send(character);
  raw.send(Buffer.from(END + call + call.slice(0, 20)));
  raw.send(call.slice(20).replace('one', 'two'));
  const text = await raw.text('"result":"two"');
  assert.equal(text, `{}${END}{"type":3,"invocationId":"1","result":"one"}${END}{"type":3,"invocationId":"1","result":"two"}${END}`);
});

// handshake request, error without and with detailed errors
const UNEXPECTED = 'An unexpected error occurred during connection handshake.';
const REFUSED = [
  ['{"protocol":"soap","version":1}', "The protocol 'soap' is not supported."],
  ['{"protocol":"json","version":3}', "The server does not support version 3 of the 'json' protocol."],
  ['{"protocol":"messagepack","version":99}', "The server does not support version 99 of the 'messagepack' protocol."],
  ['{"version":1}', UNEXPECTED],
  ['{"protocol":"json"}', UNEXPECTED],
  ['[]', UNEXPECTED],
  ['not json', UNEXPECTED],
];

for (const [handshake, error] of REFUSED) {
  test(`a refused handshake: ${handshake}`, async (t) => {
    const raw = await RawSocket.open(t, `${server.url}/scale`);
    raw.send(handshake + END);
    assert.deepEqual(await raw.closed(), { code: 1000, reason: '' });
    assert.deepEqual(raw.messages.items, [{ text: `{"error":"${error}"}${END}` }]);
  });
}

test('a handshake that does not come, or does not end, is cancelled', async (t) => {
  for (const begin of [null, '{"protocol":', 'x'.repeat(600)]) {
    const raw = await RawSocket.open(t, `${strict.url}/scale`);
    if (begin) raw.send(begin);
    assert.deepEqual(await raw.closed(), { code: 1000, reason: '' });
    assert.deepEqual(raw.messages.items, [{ text: `{"error":"Handshake was canceled."}${END}` }]);
  }
});

const CLOSED = '"error":"Connection closed with an error.';

test('rubbish closes the connection with an error', async (t) => {
  const raw = await RawSocket.handshaken(t, `${server.url}/scale`);
  raw.send(`rubbish${END}`);
  assert.deepEqual(await raw.closed(), { code: 1000, reason: '' });
  assert.deepEqual(raw.messages.items.slice(1), [{ text: `{"type":7,${CLOSED}","allowReconnect":true}${END}` }]);
});

test('a text frame that is no UTF-8 is refused by the WebSocket itself', async (t) => {
  // The reference cuts the connection right behind its Close frame, so that the frame is sometimes lost (1006).
  const codes = await poll(async () => {
    const raw = await RawSocket.handshaken(t, `${server.url}/scale`);
    raw.socket.send(Buffer.from([0xc3, 0x28]), { binary: false });
    const { code } = await raw.closed();
    assert.deepEqual(raw.messages.items.length, 1, 'no hub message comes');
    return code !== 1006 && [code];
  }, 'a Close frame');
  assert.deepEqual(codes, [1007]);
});

test('a message above the limit', async (t) => {
  const raw = await RawSocket.handshaken(t, `${strict.url}/scale`);
  raw.send(`{"type":1,"invocationId":"1","target":"Echo","arguments":["${'x'.repeat(500)}"]}${END}`);
  assert.equal((await raw.closed()).code, 1000);
  const detail = ' InvalidDataException: The maximum message size of 500B was exceeded. The message size can be configured in AddHubOptions.';
  assert.deepEqual(raw.messages.items.slice(1), [{ text: `{"type":7,${CLOSED}${detail}","allowReconnect":true}${END}` }]);
});

test('a client that pinged once and went silent is cut, one that never pinged is not', async (t) => {
  const never = await RawSocket.handshaken(t, `${strict.url}/scale`);
  const once = await RawSocket.handshaken(t, `${strict.url}/scale`);
  once.send(`{"type":6}${END}`);
  assert.equal((await once.closed()).code, 1000);
  const detail = " OperationCanceledException: Client hasn't sent a message/ping within the configured ClientTimeoutInterval.";
  assert.deepEqual(once.messages.items.slice(1), [{ text: `{"type":7,${CLOSED}${detail}","allowReconnect":true}${END}` }]);
  never.send(`{"type":1,"invocationId":"1","target":"Echo","arguments":["here"]}${END}`);
  assert.ok(await never.text('"result":"here"'));
});

test('Close from the client is answered with Close', async (t) => {
  const raw = await RawSocket.handshaken(t, `${server.url}/scale`);
  raw.send(`{"type":7}${END}`);
  assert.deepEqual(await raw.closed(), { code: 1000, reason: '' });
  assert.deepEqual(raw.messages.items.slice(1), [{ text: `{"type":7}${END}` }]);
});

test('Abort in hub code sends Close without allowReconnect', async (t) => {
  const raw = await RawSocket.handshaken(t, `${server.url}/scale`);
  raw.send(`{"type":1,"target":"Abort","arguments":[]}${END}`);
  assert.equal((await raw.closed()).code, 1000);
  assert.deepEqual(raw.messages.items.slice(1), [{ text: `{"type":7}${END}` }]);
});

test('the raw echo end point knows no hub protocol', async (t) => {
  const raw = await RawSocket.open(t, `${server.url}/echo`);
  raw.send('any text');
  raw.send(Buffer.from('and bytes'));
  assert.ok(await raw.text('any textand bytes'));
});

async function negotiate(version) {
  const response = await fetch(`${server.url}/scale/negotiate?negotiateVersion=${version}`, { method: 'POST' });
  return response.json();
}

async function request(method, path, body) {
  const response = await fetch(server.url + path, { method, body });
  return { status: response.status, type: response.headers.get('content-type'), body: await response.text() };
}
