// Every send of every server of a fleet reaches its receivers on every server, once and in order, and nobody else.

import { after, before, test } from 'node:test';
import { randomBytes } from 'node:crypto';
import assert from 'node:assert/strict';
import { PROTOCOLS, connect, inbox } from '../support/client.mjs';
import { FRONT, fleet, ours } from '../support/fleet.mjs';
import { absences, exchange, join, partings, questions } from '../support/members.mjs';

let servers;
before(async () => { servers = await fleet(ours(3)); });
after(() => servers?.end());

test('three servers are one', async (t) => {
  const { nodes } = servers;
  // A fleet that runs already may have other clients.
  const run = randomBytes(4).toString('hex');
  const members = await join(t, nodes, run);
  await exchange(t, nodes, run, members);
  await t.test('who leaves a group through another server hears no more of it', () => partings(nodes, run, members));
  await t.test('every server asks every client', () => questions(nodes, run, members));
  // Acceptance scenario 9.
  await t.test('a client that has left is gone for every server', () => absences(nodes, run, members));
});

// `cargo xtask cluster --front --run targets` has one.
if (FRONT) {
  test('behind one address clients stay on the server that they negotiated with', async (t) => {
    const method = `Front${randomBytes(4).toString('hex')}`;
    const connections = await Promise.all(Array.from({ length: 12 }, (_, i) => connect(t, `${FRONT}/scale`, PROTOCOLS[i % 2])));
    const boxes = connections.map((connection) => inbox(connection, method));
    const names = new Set(await Promise.all(connections.map((connection) => connection.invoke('GetServerName'))));
    assert.ok(names.size > 1, `all are on ${[...names]}`);
    await connections[0].invoke('SendAll', method, 'everybody');
    for (const box of boxes) assert.deepEqual(await box.take(1), ['everybody']);
  });
}
