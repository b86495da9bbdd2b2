// Calls from client to hub: results, values of every kind both ways, sends without a reply, order, many connections.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { HttpTransportType } from '@microsoft/signalr';
import { startPeer } from './support/server.mjs';
import { PROTOCOLS, connect, eachLink, eachProtocol, inbox } from './support/client.mjs';
import { within } from './support/wait.mjs';

let server;
before(async () => { server = await startPeer(); });
after(() => server?.kill());

const TEXTS = ['', 'plain', 'naïve <日本> 😀 "\'&+', 'line\nbreak\ttab \u001e record separator', '\\u0041', 'x'.repeat(20_000)];

eachLink(test, 'echoes text unchanged', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/bench`, protocol);
  for (const text of TEXTS) {
    assert.equal(await connection.invoke('Echo', text), text);
  }
});

eachLink(test, 'echoes any value unchanged', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol);
  const values = [
    null, true, false, 0, -1, 127, 128, -129, 65_536, 2_147_483_647, -2_147_483_648, 4_294_967_296, 1.5, -0.25, 1e100,
    'text', [], [1, 'two', null, [true]], { a: 1, B: { c: [] }, 'with space': 'ü' },
  ];
  for (const value of values) {
    assert.deepEqual(await connection.invoke('Echo', value), value);
  }
});

test('echoes bytes and dates (messagepack)', async (t) => {
  const connection = await connect(t, `${server.url}/scale`, PROTOCOLS.find((p) => p.name === 'messagepack'));
  const bytes = new Uint8Array([0, 1, 127, 128, 255]);
  assert.deepEqual(new Uint8Array(await connection.invoke('Echo', bytes)), bytes);
  for (const date of [new Date(0), new Date(Date.UTC(2000, 0, 2, 3, 4, 5, 678)), new Date(Date.UTC(2600, 0, 1))]) {
    assert.deepEqual(await connection.invoke('Echo', date), date);
  }
});

eachLink(test, 'binds objects to typed parameters', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/testhub`, protocol);
  const json = protocol.name === 'json';
  const sent = {
    String: 'hello world',
    IntArray: [1, -2, 3],
    ByteArray: json ? 'AQID' : new Uint8Array([1, 2, 3]),
    Guid: '00010203-0405-0607-0706-050403020100',
    DateTime: json ? '2000-01-01T00:00:00Z' : new Date(Date.UTC(2000, 0, 1)),
  };
  assert.deepEqual(plain(await connection.invoke('EchoComplexObject', sent)), plain(sent));
  assert.equal(await connection.invoke('EchoComplexObject', null), null);
  assert.deepEqual(plain(await connection.invoke('SendComplexObject')), plain({ ...sent, IntArray: [1, 2, 3] }));
});

eachLink(test, 'sends an object to the caller', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/testhub`, protocol);
  const received = inbox(connection, 'CustomObject');
  await connection.invoke('SendCustomObject', { Name: 'first', Value: 7 });
  assert.deepEqual(await received.take(1), [{ Name: 'first', Value: 7 }]);
});

eachLink(test, 'answers a method without a result with null', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol);
  assert.equal(await connection.invoke('Join', 'room'), null);
});

eachLink(test, 'finds methods ignoring case', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/bench`, protocol);
  assert.equal(await connection.invoke('eCHO', 'a'), 'a');
});

eachLink(test, 'send reaches the hub without a reply', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol);
  const received = inbox(connection, 'Note');
  await connection.send('SendCaller', 'Note', 'sent');
  assert.deepEqual(await received.take(1), ['sent']);
});

eachLink(test, 'keeps the order of calls and of what they send', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol);
  const received = inbox(connection, 'Note');
  const results = [];
  const calls = Array.from({ length: 100 }, (_, i) => [
    connection.send('SendCaller', 'Note', String(i)),
    connection.invoke('Echo', i).then((value) => results.push(value)),
  ]);
  await within(Promise.all(calls.flat()), 'a hundred calls');
  const numbers = Array.from({ length: 100 }, (_, i) => i);
  assert.deepEqual(results, numbers);
  assert.deepEqual(await received.take(100), numbers.map(String));
});

eachLink(test, 'a burst arrives whole and in order', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol);
  const received = inbox(connection, 'Note');
  await within(connection.invoke('Burst', 'Note', 1_000), 'the burst');
  assert.deepEqual(received.items, Array.from({ length: 1_000 }, (_, i) => i), 'nothing may come after the completion');
});

eachLink(test, 'serves fifty connections side by side', async (t, protocol) => {
  const connections = await Promise.all(Array.from({ length: 50 }, () => connect(t, `${server.url}/scale`, protocol)));
  const ids = await Promise.all(connections.map((connection) => connection.invoke('GetConnectionId')));
  assert.deepEqual(ids, connections.map((connection) => connection.connectionId));
  assert.equal(new Set(ids).size, 50);
  const answers = await Promise.all(connections.map((connection, i) => connection.invoke('Echo', i)));
  assert.deepEqual(answers, connections.map((_, i) => i));
});

eachProtocol(test, 'connects without negotiation', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol, { skipNegotiation: true });
  assert.equal(connection.connectionId, null, 'the client learns no id');
  assert.match(await connection.invoke('GetConnectionId'), /^[\w-]{22}$/);
});

eachLink(test, 'tells hub code which transport is in use', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol);
  assert.equal(await connection.invoke('GetActiveTransportName'), HttpTransportType[protocol.transport]);
});

/** Byte arrays of the two protocols' making, comparable. */
function plain(object) {
  const { ByteArray: bytes, DateTime: date, ...rest } = object;
  return {
    ...rest,
    ByteArray: typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('base64'),
    DateTime: new Date(date).toISOString(),
  };
}
