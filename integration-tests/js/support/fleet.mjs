// Several servers on one Redis: the fleet that `cargo xtask cluster` started (SIGNALR_CLUSTER_NODES), or one that the test
// starts itself, on the Redis that was started for it (SIGNALR_CLUSTER_REDIS) or on its own. Everything that was started
// here is ended here.

import { createServer } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PEER_BIN, Server, startProgram } from './server.mjs';
import { within } from './wait.mjs';

export const DOTNET_BIN = process.env.SIGNALR_DOTNET_PEER;

const list = (text) => (text ?? '').split(';').filter(Boolean);
const ATTEMPTS = 10;

/** The addresses of servers that run already, ours first; empty when there are none. */
export const RUNNING = list(process.env.SIGNALR_CLUSTER_NODES);

/** The one address before all of them, if there is one. */
export const FRONT = process.env.SIGNALR_CLUSTER_FRONT;

/** A Redis that runs already, of any kind, as servers of ours and of the reference are told of it; undefined without one. */
const GIVEN_REDIS = process.env.SIGNALR_CLUSTER_REDIS && {
  address: process.env.SIGNALR_CLUSTER_REDIS,
  reference: process.env.SIGNALR_CLUSTER_REDIS_DOTNET,
  kill: async () => {},
};

/**
 * On a Redis Cluster the reference publishes a channel now on one node, now on another, so that not even one sender's
 * messages keep their order; and it takes the count of PUBLISH, which is that of one node, for all receivers, so that it
 * finds nobody to ask on other servers. That is the reference's own, also among its own servers.
 */
export const REFERENCE_IS_LOST = (process.env.SIGNALR_CLUSTER_KIND ?? '').startsWith('cluster');

/**
 * Starts servers, all on one Redis: the one that runs already, or one of their own.
 * @param programs one program per server; see `ours` and `dotnet`
 * @param flags what all of them are given beside their Redis
 */
export async function startFleet(programs, flags = []) {
  const redis = await anyRedis();
  const started = [redis];
  const end = async () => { for (const server of started.reverse()) await server.kill(); };
  try {
    const nodes = await Promise.all(programs.map(async (program, i) => {
      const address = (kindOf(program) === 'dotnet' && redis.reference) || redis.address;
      const server = await startProgram(program, ['--hubs', 'scale', '--name', `node${i}`, '--redis', address, ...flags]);
      started.push(server);
      return { url: server.url, kind: kindOf(program), pid: server.child.pid };
    }));
    return { nodes, end, redis };
  } catch (error) {
    await end();
    throw error;
  }
}

/** The fleet that runs already, or a new one of these programs. */
export async function fleet(programs) {
  if (RUNNING.length === 0) return startFleet(programs);
  return { nodes: RUNNING.map((url) => ({ url, kind: 'running' })), end: async () => {} };
}

/** So many servers of ours. */
export const ours = (count) => Array.from({ length: count }, () => PEER_BIN);

/** So many servers of the reference. */
export function dotnet(count) {
  if (!DOTNET_BIN) throw new Error('SIGNALR_DOTNET_PEER must name the program dotnet-peer.');
  return Array.from({ length: count }, () => DOTNET_BIN);
}

const kindOf = (program) => (program === DOTNET_BIN ? 'dotnet' : 'ours');

/** The Redis that runs already, or a new one. Both can be ended; the former does not mind. */
export const anyRedis = async () => GIVEN_REDIS ?? startRedis();

/** A redis-server of its own, with a folder of its own. Another program may take the port first: then another port. */
export async function startRedis() {
  const folder = mkdtempSync(path.join(tmpdir(), 'signalr-redis-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
    try {
      const server = await Server.start('redis-server', [...args, '--enable-debug-command', 'yes'], /(Ready to accept connections)/);
      return Object.assign(server, { port, address: `127.0.0.1:${port}` });
    } catch (error) {
      if (attempt === ATTEMPTS || error.message.includes('does not start')) throw error;
    }
  }
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await within(once(probe, 'listening'), 'a free port');
  const { port } = probe.address();
  probe.close();
  return port;
}
