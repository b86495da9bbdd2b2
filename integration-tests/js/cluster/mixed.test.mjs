// Our servers and the reference's in one fleet: the same sends, groups and questions, in all directions, with a prefix and
// with LZ4.

import { test } from 'node:test';
import { randomBytes } from 'node:crypto';
import { connect } from '../support/client.mjs';
import { DotnetClient } from '../support/dotnet.mjs';
import { dotnet, ours, startFleet } from '../support/fleet.mjs';
import { absences, exchange, join, partings, questions } from '../support/members.mjs';

const VARIANTS = [
  { name: 'two of ours, one of the reference', programs: () => [...ours(2), ...dotnet(1)], flags: [] },
  { name: 'a prefix with characters of patterns', programs: () => [...ours(1), ...dotnet(1)], flags: ['--prefix', 'app[1]*é:'] },
  { name: 'LZ4 everywhere', programs: () => [...ours(1), ...dotnet(1)], flags: ['--lz4'], lz4: true },
];

// Acceptance scenario 8, and scenario 9 for a fleet of both kinds.
for (const { name, programs, flags, lz4 } of VARIANTS) {
  test(name, async (t) => {
    let servers;
    await t.test('starts', async () => { servers = await startFleet(programs(), flags); });
    t.after(() => servers?.end());
    const { nodes } = servers;
    const run = randomBytes(4).toString('hex');
    const client = lz4 && new DotnetClient(t);
    // The JavaScript client reads no LZ4.
    const open = (owner, url, protocol) => (lz4 ? client.connect(url, protocol.name) : connect(owner, url, protocol));
    const members = await join(t, nodes, run, open);
    await exchange(t, nodes, run, members);
    await t.test('who leaves a group through another server hears no more of it', () => partings(nodes, run, members));
    if (!lz4) await t.test('every server asks every client', () => questions(nodes, run, members));
    await t.test('a client that has left is gone for every server', () => absences(nodes, run, members));
  });
}
