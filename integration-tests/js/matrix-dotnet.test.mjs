// The client matrix: the .NET client, as a process of its own.

import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { startSecurePeer } from './support/server.mjs';
import { LINKS, nameOf } from './matrix/table.mjs';
import { cellsOf, client } from './matrix/dotnet.mjs';
import { matrix } from './matrix/run.mjs';

after(() => client().end());

matrix('.NET', async (link, base) => {
  const cells = cellsOf(link, base);
  return (cell) => cells[cell]();
});

test('.NET over TLS', async (t) => {
  const server = await startSecurePeer();
  t.after(() => server.kill());
  for (const link of LINKS) {
    const conn = await client().open(link, server.secureUrl, '/scale', { insecure: true });
    assert.equal(await client().invoke(conn, 'Echo', nameOf(link)), nameOf(link));
    await client().ask('stop', { conn });
  }
});
