// Server-Sent Events and long polling without the client library: every right and wrong request, with status, headers and
// body.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startPeer } from './support/server.mjs';
import { END, HANDSHAKE, PACK_HANDSHAKE, RawSocket, refusedUpgrade } from './support/raw.mjs';
import { poll, within } from './support/wait.mjs';

let server;
let quick;
before(async () => {
  [server, quick] = await Promise.all([
    startPeer(),
    startPeer(['--poll-timeout-ms', '500', '--disconnect-timeout-ms', '1000', '--keep-alive-ms', '1000', '--application-buffer', '5000']),
  ]);
});
after(() => Promise.all([server?.kill(), quick?.kill()]));

const EVENTS = { accept: 'text/event-stream' };
const NO_ID = 'Connection ID required';
const UNKNOWN = 'No Connection with that ID';
const CHANGE = 'Cannot change transports mid-connection';
const NO_DELETE = 'Cannot terminate this connection using the DELETE endpoint.';
const CLOSE = `{"type":7,"allowReconnect":true}${END}`;
const UNCACHED = { 'cache-control': 'no-cache, no-store', pragma: 'no-cache', expires: 'Thu, 01 Jan 1970 00:00:00 GMT' };

async function ask(method, url, { headers, body } = {}) {
  const answer = await within(fetch(url, { method, headers, body }), `${method} ${url}`);
  return { status: answer.status, headers: answer.headers, body: await answer.text() };
}

/** Checks status, body and type, and whether the answer may be stored. */
function is(answer, status, body = '', type = 'text/plain', uncached = false) {
  const seen = { status: answer.status, body: answer.body, type: answer.headers.get('content-type') };
  assert.deepEqual(seen, { status, body, type });
  for (const [name, value] of Object.entries(UNCACHED)) {
    assert.equal(answer.headers.get(name), uncached ? value : null, name);
  }
}

const isPoll = (answer, status, body = '', type = 'text/plain') => is(answer, status, body, type, true);
const isData = (answer, body) => isPoll(answer, 200, body, 'application/octet-stream');

async function negotiated(path = '/echo', { url } = server) {
  const { body } = await ask('POST', `${url}${path}/negotiate?negotiateVersion=1`);
  return `${url}${path}?id=${JSON.parse(body).connectionToken}`;
}

async function polling(path, of) {
  const at = await negotiated(path, of);
  isData(await ask('GET', at), '');
  return at;
}

/** An event stream: `until` reads on, `close` leaves. */
async function listen(t, at) {
  const cut = new AbortController();
  t.after(() => cut.abort());
  const response = await within(fetch(at, { headers: EVENTS, signal: cut.signal }), 'the events');
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  return {
    response,
    until: async (end) => {
      while (!text.endsWith(end)) {
        const { value, done } = await within(reader.read(), `${end} behind ${text}`);
        assert.ok(!done, `the stream ended behind ${text}`);
        text += value;
      }
      const all = text;
      text = '';
      return all;
    },
    ended: async () => (await within(reader.read(), 'the end')).done,
    close: () => cut.abort(),
  };
}

test('requests without an id, and with one that nobody knows', async () => {
  for (const [at, status, body] of [['/echo', 400, NO_ID], ['/echo?id=', 400, NO_ID], ['/echo?id=zz', 404, UNKNOWN]]) {
    isPoll(await ask('GET', server.url + at), status, body);
    is(await ask('GET', server.url + at, { headers: EVENTS }), status, body);
    is(await ask('POST', server.url + at, { body: 'x' }), status, body);
    is(await ask('DELETE', server.url + at), status, body);
  }
  isPoll(await ask('GET', `${server.url}/echo`, { headers: { accept: 'text/event-stream;q=0.9' } }), 400, NO_ID);
});

test('other methods', async () => {
  for (const method of ['HEAD', 'PUT', 'PATCH']) is(await ask(method, await negotiated()), 405);
});

test('a transport that the end point does not have', async () => {
  const at = await negotiated('/default-nowebsockets');
  const text = 'WebSockets transport not supported by this end point type';
  for (const url of [at, `${server.url}/default-nowebsockets`]) {
    const refused = await refusedUpgrade(url);
    assert.deepEqual([refused.status, refused.body], [404, text]);
  }
  isData(await ask('GET', at), '');
});

test('events: headers, first comment, one event for each chunk, one connection only', async (t) => {
  const at = await negotiated();
  const events = await listen(t, at);
  const header = (name) => events.response.headers.get(name);
  assert.deepEqual(
    [events.response.status, header('content-type'), header('cache-control'), header('pragma'), header('content-encoding')],
    [200, 'text/event-stream', 'no-cache,no-store', 'no-cache', 'identity'],
  );
  assert.equal(await events.until('\r\n'), ':\r\n');
  is(await ask('POST', at, { body: 'hello' }), 200);
  assert.equal(await events.until('\r\n\r\n'), 'data: hello\r\n\r\n');
  is(await ask('POST', at, { body: 'a\r\nb\n' }), 200);
  assert.equal(await events.until('\r\n\r\n'), 'data: a\r\ndata: b\r\ndata: \r\n\r\n');
  is(await ask('GET', at, { headers: EVENTS }), 409);
  isPoll(await ask('GET', at), 400, CHANGE);
  assert.deepEqual(await refusedUpgrade(at).then(({ status, body }) => [status, body]), [400, CHANGE]);
  is(await ask('DELETE', at), 400, NO_DELETE);
  events.close();
  await poll(async () => (await ask('POST', at)).status === 404, 'the server to notice');
  is(await ask('GET', at, { headers: EVENTS }), 404, UNKNOWN);
});

test('events carry no binary', async (t) => {
  const at = await negotiated('/default');
  const events = await listen(t, at);
  await events.until(':\r\n');
  is(await ask('POST', at, { body: PACK_HANDSHAKE }), 200);
  const refusal = "Cannot use the 'messagepack' protocol on the current transport. The transport does not support 'Binary' transfer format.";
  assert.equal(await events.until('\r\n\r\n'), `data: {"error":"${refusal}"}${END}\r\n\r\n`);
  assert.ok(await events.ended());
});

test('polls: everything that waits, and the older ends when a newer comes', async () => {
  const at = await polling();
  is(await ask('POST', at, { body: 'hello' }), 200);
  isData(await ask('GET', at), 'hello');
  is(await ask('GET', at, { headers: EVENTS }), 400, CHANGE);
  const both = [ask('GET', at), ask('GET', at)];
  isPoll(await Promise.race(both), 204);
  is(await ask('POST', at, { body: 'x' }), 200);
  const bodies = (await Promise.all(both)).map(({ body }) => body).sort();
  assert.deepEqual(bodies, ['', 'x']);
  is(await ask('DELETE', at), 202);
  await poll(async () => (await ask('GET', at)).body === UNKNOWN, 'the connection to go');
  is(await ask('DELETE', at), 404, UNKNOWN);
  is(await ask('POST', at), 404, UNKNOWN);
});

test('a delete says good-bye to the poll that waits', async () => {
  const at = await polling('/default');
  is(await ask('POST', at, { body: HANDSHAKE }), 200);
  isData(await ask('GET', at), `{}${END}`);
  const waiting = ask('GET', at);
  const second = ask('GET', at);
  // One of them waits for certain once the other has ended.
  isPoll(await Promise.race([waiting, second]), 204);
  is(await ask('DELETE', at), 202);
  const bodies = (await Promise.all([waiting, second])).map(({ body }) => body).sort();
  // The reference has not always time for it.
  assert.ok(bodies[0] === '' && [CLOSE, ''].includes(bodies[1]), `${bodies}`);
});

test('the end is told after the last words', async () => {
  for (const [sent, last] of [
    [`${HANDSHAKE}{"type":7}${END}`, `{}${END}{"type":7}${END}`],
    [`{"protocol":"nope","version":1}${END}`, `{"error":"The protocol 'nope' is not supported."}${END}`],
  ]) {
    const at = await polling('/default');
    is(await ask('POST', at, { body: sent }), 200);
    let text = '';
    while (text !== last) {
      const answer = await ask('GET', at);
      assert.ok(last.startsWith(text += answer.body) && answer.status === 200, text);
    }
    isPoll(await ask('GET', at), 204);
    isPoll(await ask('GET', at), 404, UNKNOWN);
  }
});

test('an empty poll ends in time, pings are not sent, and who stays away is forgotten', async () => {
  const at = await polling('/default', quick);
  is(await ask('POST', at, { body: HANDSHAKE }), 200);
  isData(await ask('GET', at), `{}${END}`);
  for (let n = 0; n < 5; n += 1) isPoll(await ask('GET', at), 200);
  await poll(async () => (await ask('POST', at)).status === 404, 'the connection to expire');
});

test('what is posted before a transport is chosen waits, up to the buffer\'s size', async (t) => {
  const at = await negotiated('/echo', quick);
  is(await ask('POST', at, { body: 'early' }), 200);
  is(await ask('DELETE', at), 400, NO_DELETE);
  const long = ask('POST', at, { body: 'x'.repeat(6_000) });
  const events = await listen(t, at);
  await events.until('x'.repeat(100) + '\r\n\r\n');
  is(await long, 200);
});

test('a WebSocket takes no other requests', async (t) => {
  const at = await negotiated();
  await RawSocket.open(t, at);
  is(await ask('POST', at, { body: 'x' }), 405, 'POST requests are not allowed for WebSocket connections.');
  isPoll(await ask('GET', at), 400, CHANGE);
  is(await ask('GET', at, { headers: EVENTS }), 400, CHANGE);
  is(await ask('DELETE', at), 400, NO_DELETE);
});
