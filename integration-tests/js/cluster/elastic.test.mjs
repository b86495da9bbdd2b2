// A fleet grows from 2 servers to 12 and shrinks to 2 again while everybody talks, behind one address. Clients reconnect by
// themselves and miss nothing that was published while they were members: each message arrives once and in order.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { PROTOCOLS, build } from '../support/client.mjs';
import { Listener, Talk, TOPICS, settle } from '../support/account.mjs';
import { freePorts, startFront } from '../support/front.mjs';
import { anyRedis } from '../support/fleet.mjs';
import { startPeer } from '../support/server.mjs';
import { poll, within } from '../support/wait.mjs';

const LARGE = 12;
const SMALL = 2;
const SPEAKERS = 3;
const CLIENTS_AT_FIRST = 10;
const CLIENTS_PER_SERVER = 4;
/** Messages of each stream between two changes, and when all is as it was. */
const SOME = 10;
const ENOUGH = 30;
/** This one is not asked to end. */
const KILLED = 7;

const started = [];
let redis;
let front;
let ports;
const servers = [];

before(async () => {
  redis = await anyRedis();
  started.push(redis);
  ports = await freePorts(LARGE);
  front = await startFront(ports);
  started.push(front);
  for (let n = 0; n < SMALL; n += 1) await grow();
});
after(async () => { for (const server of started.reverse()) await server.kill(); });

async function grow() {
  const number = servers.length;
  const flags = ['--hubs', 'scale', '--name', `server${number}`, '--redis', redis.address];
  const server = await startPeer(flags, ports[number]);
  server.name = `server${number}`;
  started.push(server);
  servers.push(server);
}

// Again and again, soon and then a little later.
const reconnect = { nextRetryDelayInMilliseconds: ({ previousRetryCount }) => Math.min(20 * previousRetryCount, 500) };

async function connect(t, url, number) {
  const connection = build(t, `${url}/scale`, PROTOCOLS[number % 2], { reconnect });
  const connected = async () => connection.start().then(() => true, () => false);
  await poll(connected, `client ${number} to connect to ${url}`);
  return connection;
}

test('from 2 servers to 12 and back, clients reconnect and miss nothing', async (t) => {
  const talk = new Talk();
  const speakers = [];
  const speak = async () => {
    const speaker = await connect(t, front.url, speakers.length);
    speakers.push(speaker);
    talk.add(speaker);
  };
  for (let s = 0; s < SPEAKERS; s += 1) await speak();
  const listen = async (name, url, number) => {
    const listener = new Listener(name, await connect(t, url, number), talk);
    await within(listener.enter(), `${name} to be a member`);
    return listener;
  };
  const watchers = await Promise.all(servers.map((server, n) => listen(`watcher ${n}`, server.url, n)));
  const listeners = [];
  const more = async (count) => {
    const next = listeners.length;
    const coming = Array.from({ length: count }, (_, i) => listen(`client ${next + i}`, front.url, next + i));
    listeners.push(...await Promise.all(coming));
  };
  talk.start();
  await more(CLIENTS_AT_FIRST);
  await talk.more(ENOUGH);

  while (servers.length < LARGE) {
    await grow();
    await more(CLIENTS_PER_SERVER);
    if (servers.length % 2 === 0) await speak();
    await talk.more(SOME);
  }
  const inUse = () => new Set(listeners.map(({ term }) => term.server));
  assert.ok(inUse().size > LARGE / 2, `clients are on ${[...inUse()]} only`);

  const ends = new Map();
  const gone = () => [...ends.keys()];
  const end = async (server, n) => {
    ends.set(server.name, n === KILLED ? null : talk.marks());
    if (n === KILLED) return server.kill();
    assert.equal(await server.terminate(), 0, `${server.name} ends in good order: ${server.stderr.text}`);
    return undefined;
  };
  // One, then two at once, and so on.
  for (let n = SMALL; n < LARGE;) {
    const leaving = servers.slice(n, n + 1 + (n % 2));
    await Promise.all(leaving.map((server, i) => end(server, n + i)));
    n += leaving.length;
    await Promise.all(listeners.map((listener) => listener.settled(gone())));
    await talk.more(SOME);
  }
  await poll(() => speakers.every(({ state }) => state === 'Connected'), 'speakers to be back');

  await talk.more(ENOUGH);
  await talk.stop();
  const all = [...watchers, ...listeners];
  const complete = ({ term }) => TOPICS.every((topic) => talk.acked[topic].every((last, s) => term.heard[topic].includes(`${s} ${last}`)));
  await poll(() => all.every(complete), 'the last words to arrive everywhere');
  const sum = settle(talk, watchers, listeners, ends);
  const said = TOPICS.map((topic) => talk.said[topic].reduce((a, b) => a + b)).join(' + ');
  t.diagnostic(`${said} messages, ${talk.unsure} of them of unknown outcome; ${sum.deliveries} deliveries on ${sum.terms} connections`);
  assert.ok(sum.byClose >= LARGE - SMALL, `only ${sum.byClose} connections were told to close`);
  assert.deepEqual(sum.cut, [], 'connections of servers that ended in good order were cut, not closed');
});
