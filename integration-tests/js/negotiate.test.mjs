// Negotiate over plain HTTP: bodies and headers to the byte.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startPeer } from './support/server.mjs';

let server;
before(async () => { server = await startPeer(); });
after(() => server?.kill());

const NOT_INTEGER = '{"error":"The client requested a non-integer protocol version."}';
const notSupported = (version) => `{"error":"The client requested version '${version}', but the server does not support this version."}`;

// Transports in their only order, as they are written. Which ones there are depends on the server.
const TRANSPORTS = [
  '{"transport":"WebSockets","transferFormats":["Text","Binary"]}',
  '{"transport":"ServerSentEvents","transferFormats":["Text"]}',
  '{"transport":"LongPolling","transferFormats":["Text","Binary"]}',
];

// query, then either the version of a successful answer, or the whole body of a refusal
const CASES = [
  ['', 0],
  ['?negotiateVersion=0', 0],
  ['?negotiateVersion=1', 1],
  ['?NegotiateVERSION=1', 1],
  ['?negotiateVersion=2', 1],
  ['?negotiateVersion=2147483647', 1],
  ['?negotiateVersion=%2B1', 1],
  ['?negotiateVersion=%201%20', 1],
  ['?negotiateVersion=01', 1],
  ['?negotiateVersion=1&useStatefulReconnect=true', 1],
  ['?negotiateVersion=1&user=somebody', 1],
  ['?negotiateVersion=-1', notSupported(-1)],
  ['?negotiateVersion=-2147483648', notSupported(-2147483648)],
  ['?negotiateVersion=2147483648', NOT_INTEGER],
  ['?negotiateVersion=', NOT_INTEGER],
  ['?negotiateVersion=one', NOT_INTEGER],
  ['?negotiateVersion=1.0', NOT_INTEGER],
  ['?negotiateVersion=1&negotiateVersion=1', NOT_INTEGER],
];

for (const path of ['/scale', '/bench', '/testhub', '/echo']) {
  for (const [query, expected] of CASES) {
    test(`POST ${path}/negotiate${query}`, async () => {
      const answer = await request('POST', `${path}/negotiate${query}`);
      assert.equal(answer.status, 200);
      assert.equal(answer.type, 'application/json');
      assert.equal(answer.length, String(Buffer.byteLength(answer.body)));
      assert.equal(answer.body, typeof expected === 'string' ? expected : success(answer.body, expected));
    });
  }
}

test('body and content type of the request do not matter', async () => {
  for (const [type, body] of [['text/plain', 'x'], ['application/json', '{broken'], ['application/octet-stream', 'y'.repeat(10_000)]]) {
    const answer = await request('POST', '/scale/negotiate?negotiateVersion=1', { headers: { 'content-type': type }, body });
    assert.equal(answer.status, 200);
    assert.equal(answer.body, success(answer.body, 1));
  }
});

test('only POST is allowed', async () => {
  for (const method of ['GET', 'PUT', 'PATCH', 'DELETE', 'HEAD']) {
    const answer = await request(method, '/scale/negotiate?negotiateVersion=1');
    assert.deepEqual({ ...answer, length: null }, { status: 405, type: 'text/plain', length: null, allow: null, body: '' }, method);
  }
});

test('ids are new each time', async () => {
  const seen = new Set();
  for (let i = 0; i < 50; i += 1) {
    const { connectionId, connectionToken } = JSON.parse((await request('POST', '/scale/negotiate?negotiateVersion=1')).body);
    seen.add(connectionId).add(connectionToken);
  }
  assert.equal(seen.size, 100);
});

/** What a successful answer must be, given the ids and the transports that it names. */
function success(body, version) {
  const { connectionId, connectionToken, availableTransports } = JSON.parse(body);
  assert.match(connectionId, /^[\w-]{22}$/);
  const token = version > 0 ? `"connectionToken":"${connectionToken}",` : '';
  if (version > 0) {
    assert.match(connectionToken, /^[\w-]{22}$/);
    assert.notEqual(connectionToken, connectionId);
  }
  const names = availableTransports.map(({ transport }) => transport);
  assert.equal(names[0], 'WebSockets');
  const transports = TRANSPORTS.filter((text) => names.includes(JSON.parse(text).transport)).join(',');
  return `{"negotiateVersion":${version},"connectionId":"${connectionId}",${token}"availableTransports":[${transports}]}`;
}

async function request(method, path, init = {}) {
  const response = await fetch(server.url + path, { method, ...init });
  const header = (name) => response.headers.get(name);
  return {
    status: response.status,
    type: header('content-type'),
    length: header('content-length'),
    allow: header('allow'),
    body: await response.text(),
  };
}
