// Makes tests of the cells: all links of a client, side by side, on one server that once goes away and comes back.

import { after, before, describe, test } from 'node:test';
import { startPeer } from '../support/server.mjs';
import { FEATURES } from './cells.mjs';
import { LINKS, Table, nameOf } from './table.mjs';

const NOT_AT_ONCE = ['reconnect', 'close'];

/**
 * Declares the tests of one client.
 * @param client its name in the table
 * @param open given a link and the server's address, resolves with `run(cell)`, which runs a cell by its name
 * @param concurrency how many cells run side by side
 */
export function matrix(client, open, concurrency = 4) {
  describe(client, () => declare(client, open, concurrency));
}

function declare(client, open, concurrency) {
  const table = new Table(client);
  const runs = new Map();
  let server;
  before(async () => {
    server = await startPeer();
    await Promise.all(LINKS.map(async (link) => { runs.set(nameOf(link), await open(link, server.url)); }));
  });
  after(async () => {
    table.print();
    await server?.kill();
  });
  const cell = (link, feature, name = feature) => test(
    `${client}, ${nameOf(link)}: ${feature}`,
    () => table.note(link, feature, () => runs.get(nameOf(link))(name)),
  );
  describe('features', { concurrency }, () => {
    for (const link of LINKS) {
      for (const feature of FEATURES.filter((name) => !NOT_AT_ONCE.includes(name))) cell(link, feature);
    }
  });
  describe('a server that goes and comes back', { concurrency: LINKS.length }, () => {
    before(async () => {
      await Promise.all(LINKS.map((link) => runs.get(nameOf(link))('leave')));
      const { port } = server;
      await server.terminate();
      server = await startPeer([], port);
    });
    for (const link of LINKS) cell(link, 'reconnect');
  });
  describe('the end', { concurrency: LINKS.length }, () => {
    for (const link of LINKS) cell(link, 'close');
  });
}
