// Who receives what: all, others, caller, clients, groups, users. Each case lists the receivers; a message to everybody
// behind it (the fence) shows that the others did not receive it, because each connection receives in order.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startPeer } from './support/server.mjs';
import { PROTOCOLS, connect, eachLink, inbox } from './support/client.mjs';

let server;
before(async () => { server = await startPeer(); });
after(() => server?.kill());

// Four connections: a, b, c, d. Users: a and b are "ann", c is "bob", d has none. Groups: red = a, b, c; blue = c.
// Every call is made by a.
const CASES = [
  { name: 'all', call: () => ['SendAll'], receivers: 'abcd' },
  { name: 'caller', call: () => ['SendCaller'], receivers: 'a' },
  { name: 'others', call: () => ['SendOthers'], receivers: 'bcd' },
  { name: 'all except', call: (id) => ['SendAllExcept', [id.b, id.d, 'nobody']], receivers: 'ac' },
  { name: 'all except nobody', call: () => ['SendAllExcept', []], receivers: 'abcd' },
  { name: 'client', call: (id) => ['SendClient', id.c], receivers: 'c' },
  { name: 'unknown client', call: () => ['SendClient', 'nobody'], receivers: '' },
  { name: 'clients', call: (id) => ['SendClients', [id.a, id.d, 'nobody', id.d]], receivers: 'ad' },
  { name: 'group', call: () => ['SendGroup', 'red'], receivers: 'abc' },
  { name: 'group in other letters', call: () => ['SendGroup', 'RED'], receivers: '' },
  { name: 'unknown group', call: () => ['SendGroup', 'green'], receivers: '' },
  { name: 'groups', call: () => ['SendGroups', ['red', 'blue', 'green']], receivers: 'abcc' },
  { name: 'group except', call: (id) => ['SendGroupExcept', 'red', [id.a, id.d]], receivers: 'bc' },
  { name: 'others in group', call: () => ['SendOthersInGroup', 'red'], receivers: 'bc' },
  { name: 'others in a group of others', call: () => ['SendOthersInGroup', 'blue'], receivers: 'c' },
  { name: 'user', call: () => ['SendUser', 'ann'], receivers: 'ab' },
  { name: 'user in other letters', call: () => ['SendUser', 'ANN'], receivers: '' },
  { name: 'unknown user', call: () => ['SendUser', 'eve'], receivers: '' },
  { name: 'users', call: () => ['SendUsers', ['bob', 'ann', 'eve']], receivers: 'abc' },
];

eachLink(test, 'each target reaches its receivers and nobody else', async (t, protocol) => {
  await everyCase(t, await four(t, () => protocol));
});

test('each target reaches its receivers, JSON and MessagePack side by side', async (t) => {
  await everyCase(t, await four(t, (i) => PROTOCOLS[i % 2]));
});

async function everyCase(t, clients) {
  for (const { name, call, receivers } of CASES) {
    await t.test(name, async () => {
      assert.equal(await reached(clients, call), receivers);
    });
  }
}

eachLink(test, 'a connection that left a group hears nothing more', async (t, protocol) => {
  const clients = await four(t, () => protocol);
  await clients.c.connection.invoke('Leave', 'red');
  assert.equal(await reached(clients, () => ['SendGroup', 'red']), 'ab');
  await clients.c.connection.invoke('Leave', 'red');
  await clients.c.connection.invoke('Join', 'red');
  await clients.c.connection.invoke('Join', 'red');
  assert.equal(await reached(clients, () => ['SendGroup', 'red']), 'abc', 'joining twice counts once');
});

eachLink(test, 'others can be put into a group and taken out of it', async (t, protocol) => {
  const clients = await four(t, () => protocol);
  const { connection } = clients.a;
  await connection.invoke('AddToGroup', clients.d.connection.connectionId, 'green');
  await connection.invoke('AddToGroup', 'nobody', 'green');
  assert.equal(await reached(clients, () => ['SendGroup', 'green']), 'd');
  await connection.invoke('RemoveFromGroup', clients.d.connection.connectionId, 'green');
  await connection.invoke('RemoveFromGroup', 'nobody', 'green');
  assert.equal(await reached(clients, () => ['SendGroup', 'green']), '');
});

eachLink(test, 'the user id comes from the query', async (t, protocol) => {
  const clients = await four(t, () => protocol);
  assert.equal(await clients.a.connection.invoke('GetUserIdentifier'), 'ann');
  assert.equal(await clients.d.connection.invoke('GetUserIdentifier'), null);
});

eachLink(test, 'an empty name in a list of groups is an error', async (t, protocol) => {
  const detailed = await startPeer(['--detailed-errors']);
  t.after(() => detailed.kill());
  const connection = await connect(t, `${detailed.url}/scale`, protocol);
  await assert.rejects(connection.invoke('SendGroups', ['red', ''], 'Note', 'x'), /Cannot send to an empty group name\./);
});

eachLink(test, 'the load kit\'s hub: broadcast, join, send to a group', async (t, protocol) => {
  const [one, two] = await Promise.all([connect(t, `${server.url}/bench`, protocol), connect(t, `${server.url}/bench`, protocol)]);
  const [toOne, toTwo] = [inbox(one, 'ReceiveMessage'), inbox(two, 'ReceiveMessage')];
  await two.invoke('JoinGroup', 'g');
  await one.invoke('SendToGroup', 'g', 'group');
  await one.invoke('Broadcast', 'all');
  assert.deepEqual(await toOne.take(1), ['all']);
  assert.deepEqual(await toTwo.take(2), ['group', 'all']);
});

/** The four connections of the table above, each with what it received. */
async function four(t, protocolOf) {
  const hub = `${server.url}/scale`;
  const clients = {};
  for (const [i, [name, query]] of [['a', '?user=ann'], ['b', '?user=ann'], ['c', '?user=bob'], ['d', '']].entries()) {
    const connection = await connect(t, hub + query, protocolOf(i));
    clients[name] = { connection, notes: inbox(connection, 'Note'), fences: inbox(connection, 'Fence') };
  }
  for (const name of ['a', 'b', 'c']) await clients[name].connection.invoke('Join', 'red');
  await clients.c.connection.invoke('Join', 'blue');
  return clients;
}

let marks = 0;

/** Makes the call as a; returns the names of those who received it, as often as they did. */
async function reached(clients, call) {
  const ids = Object.fromEntries(Object.entries(clients).map(([name, { connection }]) => [name, connection.connectionId]));
  const mark = `mark ${++marks}`;
  const [method, ...targets] = call(ids);
  await clients.a.connection.invoke(method, ...targets, 'Note', mark);
  await clients.a.connection.invoke('SendAll', 'Fence', mark);
  let names = '';
  for (const [name, { notes, fences }] of Object.entries(clients)) {
    await fences.until((all) => all.includes(mark), `the fence at ${name}`);
    names += name.repeat(notes.items.filter((note) => note === mark).length);
  }
  return names;
}
