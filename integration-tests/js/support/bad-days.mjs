// A Redis that can be taken away and given back, again and again: a server of one's own that is killed and started again, or
// the primary of a fleet with Sentinels, or a master of a Cluster, that hangs until its replica has taken its place.
//
// The latter run already: `cargo xtask cluster` says where (SIGNALR_CLUSTER_PROCESSES).

import { channels, ask, subscriptions } from './redis.mjs';
import { startRedis } from './server.mjs';
import { poll } from './wait.mjs';

const KIND = process.env.SIGNALR_CLUSTER_KIND ?? 'standalone';
const PATIENCE_MS = 60_000;

/** The Redis of this run. */
export async function redisWithBadDays() {
  return KIND === 'standalone' ? new Killed(await startRedis()) : new Hanging(process.env);
}

class Killed {
  #redis;

  constructor(redis) {
    this.#redis = redis;
    this.ours = `127.0.0.1:${redis.port},abortConnect=false`;
    this.reference = this.ours;
    this.isAlone = true;
    /** Whether every server of ours loses its subscriber by it. */
    this.deafensAll = true;
    /** Whether the reference may be somewhere else afterwards, for longer than anybody waits. */
    this.isLeftByReference = false;
  }

  fail() {
    return this.#redis.kill();
  }

  async restore() {
    this.#redis = await startRedis(this.#redis.port);
  }

  subscriptions() {
    return subscriptions(this.#redis.port);
  }

  channels() {
    return channels(this.#redis.port);
  }

  kill() {
    return this.#redis.kill();
  }
}

class Hanging {
  #servers;
  #masters;
  #victim;
  #turn = 0;

  constructor({ SIGNALR_CLUSTER_REDIS: ours, SIGNALR_CLUSTER_REDIS_DOTNET: reference, SIGNALR_CLUSTER_PROCESSES: processes }) {
    const all = JSON.parse(processes).map(({ name, address, pid }) => ({ name, port: Number(address.split(':')[1]), pid }));
    this.#servers = all.filter(({ name }) => !name.startsWith('sentinel'));
    this.#masters = KIND === 'cluster' ? 3 : 1;
    this.ours = ours;
    this.reference = `${reference},abortConnect=false`;
    this.isAlone = false;
    this.deafensAll = KIND !== 'cluster';
    // It publishes on what is a replica now, where only its own clients hear it.
    this.isLeftByReference = KIND === 'sentinel';
  }

  async #primaries() {
    const roles = await Promise.all(this.#servers.map((server) => (server === this.#victim ? undefined : roleOf(server))));
    return this.#servers.filter((_, n) => roles[n] === 'master');
  }

  async fail() {
    const primaries = await this.#primaries();
    this.#victim = primaries[this.#turn % primaries.length];
    this.#turn += 1;
    process.kill(this.#victim.pid, 'SIGSTOP');
  }

  async restore() {
    await poll(async () => (await this.#primaries()).length === this.#masters, 'a replica to be promoted', PATIENCE_MS);
    const victim = this.#victim;
    this.#victim = undefined;
    process.kill(victim.pid, 'SIGCONT');
    await poll(async () => (await roleOf(victim)) === 'slave', `${victim.name} to follow the new primary`, PATIENCE_MS);
  }

  async subscriptions() {
    const counts = await Promise.all(this.#servers.map(({ port }) => subscriptions(port)));
    return counts.reduce((sum, count) => sum + count);
  }

  async channels() {
    const lists = await Promise.all(this.#servers.map(({ port }) => channels(port)));
    return [...new Set(lists.flat())].sort();
  }

  async kill() {
    if (this.#victim) process.kill(this.#victim.pid, 'SIGCONT');
  }
}

/** What a server says of itself; undefined while it does not: one that changes its role cuts whoever asks. */
const roleOf = ({ port }) => ask(port, 'ROLE').then(([role]) => role, () => undefined);
