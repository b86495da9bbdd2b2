// Every send of every server of a fleet reaches its receivers on every server, once and in order, and nobody else.

import { after, before, test } from 'node:test';
import { randomBytes } from 'node:crypto';
import { fleet, ours } from '../support/fleet.mjs';
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
  await t.test('a client that has left is gone for every server', () => absences(nodes, run, members));
});
