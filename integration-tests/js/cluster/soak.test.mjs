// A fleet under mixed load for a while, its Redis taken away now and then: nothing is doubled, nothing is lost outside of an
// outage or without having been counted, and when all clients have gone, memory and channels are what they were.
//
// SIGNALR_SOAK_SECONDS says how long (60). With SIGNALR_DOTNET_PEER one server of the reference is in the fleet.
//
// With Sentinels and in a Cluster a primary hangs until its replica is promoted. With Sentinels all servers are ours, because the
// reference may stay with the one that hung, and then talks to itself.

import { after, before, test } from 'node:test';
import { readFileSync } from 'node:fs';
import assert from 'node:assert/strict';
import { GROUP, TOPICS, Talk } from '../support/account.mjs';
import { PROTOCOLS, connect } from '../support/client.mjs';
import { Crowd } from '../support/crowd.mjs';
import { DOTNET_BIN } from '../support/fleet.mjs';
import { Ledger } from '../support/ledger.mjs';
import { redisWithBadDays } from '../support/bad-days.mjs';
import { PEER_BIN, startProgram } from '../support/server.mjs';
import { poll, within } from '../support/wait.mjs';

const SECONDS = Number(process.env.SIGNALR_SOAK_SECONDS ?? 60);
/** One to warm up, two to compare. */
const FEWEST = 3;
const OURS = 3;
const LISTENERS_PER_NODE = 2;
const CROWD_PER_NODE = 3;
/** Messages of everybody before and after an outage, and in it. */
const SOME = 50;
/** Bytes that a server may hold more than after the first round, and by which share its resident memory may differ. */
const LIVE_SLACK = 512 * 1024;
const RESIDENT_SLACK = 0.25;
/** What a node of a Cluster may have confirmed of one speaker when it hung, and had not handed on. */
const LAST_MOMENT = 2 * TOPICS.length;
/** Messages of one speaker and topic in the time that a busy machine takes to hand them on: a second. */
const UNDER_WAY = 25;

let redis;
const nodes = [];

before(async () => {
  redis = await redisWithBadDays();
  const programs = [...Array(OURS).fill(PEER_BIN), ...(DOTNET_BIN && !redis.isLeftByReference ? [DOTNET_BIN] : [])];
  for (const [n, program] of programs.entries()) {
    const isOurs = program === PEER_BIN;
    const flags = ['--hubs', 'scale', '--name', `server${n}`, '--redis', isOurs ? redis.ours : redis.reference];
    nodes.push(Object.assign(await startProgram(program, flags), { name: `server${n}`, isOurs }));
  }
});
after(async () => {
  for (const server of [...nodes, redis]) await server?.kill();
});

const info = async (node) => (await within(fetch(`${node.url}/control/info`), `what ${node.name} reports`)).json();
const ours = () => nodes.filter(({ isOurs }) => isOurs);

test(`${SECONDS} seconds of everything`, async (t) => {
  const started = Date.now();
  const left = () => SECONDS * 1000 - (Date.now() - started);
  // Rounds are alike; after the first everything that is kept for reuse is there.
  const rounds = [];
  let longest = 0;
  do {
    const from = Date.now();
    rounds.push(await round(t, rounds.length));
    longest = Math.max(longest, Date.now() - from);
  } while (left() > longest || rounds.length < FEWEST);
  const [first, last] = [rounds[1], rounds.at(-1)];
  t.diagnostic(`${rounds.length} rounds; memory after the second round and the last: ${JSON.stringify([first, last])}`);
  last.forEach(({ name, live, resident }, n) => {
    if (live !== undefined) assert.ok(live <= first[n].live + LIVE_SLACK, `${name} holds ${live} bytes, ${first[n].live} before`);
    assert.ok(resident <= first[n].resident * (1 + RESIDENT_SLACK), `${name} has ${resident} bytes, ${first[n].resident} before`);
  });
});

/** Everybody comes, talks, suffers one outage, and goes; gives what servers of ours hold then. */
async function round(t, number) {
  const left = [];
  const own = { after: (leave) => left.push(leave) };
  const untouched = await wanted();
  const talk = new Talk();
  const helpers = await Promise.all(nodes.map((node) => quiet(own, node, 0)));
  for (const node of nodes) talk.add(await quiet(own, node, 1));
  const ledgers = await Promise.all(nodes.flatMap((node) => Array.from({ length: LISTENERS_PER_NODE }, (_, p) => listen(own, node, p, talk))));
  const crowd = new Crowd(nodes, helpers);
  t.after(() => {
    talk.stop().catch(() => {});
    crowd.abandon();
  });
  talk.start();
  crowd.start(CROWD_PER_NODE);
  await talk.more(SOME);

  const before = await Promise.all(ours().map(info));
  const outage = await restart(talk, crowd, ledgers);
  await talk.more(SOME);
  await Promise.all([talk.stop(), crowd.stop()]);
  await poll(() => ledgers.every((ledger) => ledger.has(talk.acked)), 'the last words to arrive everywhere');

  ledgers.forEach((ledger) => ledger.check([outage]));
  const costs = await account(ledgers, before, outage);
  await Promise.all(left.map((leave) => leave()));
  const sum = (of) => ledgers.reduce((all, ledger) => all + of(ledger), 0);
  t.diagnostic(`round ${number}: ${sum(({ heard }) => heard)} heard, ${sum(({ late }) => late)} late; ${crowd.rounds} came and went, ${crowd.excused} in trouble; ${costs.join('; ')}; ${outage.ms} ms until all was well`);
  return emptied(untouched);
}

/** A connection that others do not expect to listen. */
async function quiet(own, node, p) {
  const connection = await connect(own, `${node.url}/scale`, PROTOCOLS[p]);
  for (const method of [...TOPICS, 'room']) connection.on(method, () => {});
  return connection;
}

async function listen(own, node, p, talk) {
  const connection = await connect(own, `${node.url}/scale`, PROTOCOLS[p]);
  await connection.invoke('Join', GROUP);
  const ledger = new Ledger(`${PROTOCOLS[p].name} at ${node.name}`, talk.marks().said);
  ledger.node = nodes.indexOf(node);
  for (const topic of TOPICS) connection.on(topic, (text) => ledger.take(topic, text));
  return ledger;
}

/** Redis goes and comes back. Gives what was said in between, until everybody heard everybody again. */
async function restart(talk, crowd, ledgers) {
  crowd.trouble();
  // What was not acknowledged may have been under way, in a Cluster from one node to another also what was.
  const from = moved(talk.marks().acked, redis.isAlone ? 1 : -UNDER_WAY);
  await redis.fail();
  const said = talk.marks().said;
  // Servers of ours go on serving their own; the others wait.
  const goesOn = (n) => TOPICS.every((topic) => talk.acked[topic][n] > said[topic][n] + SOME);
  await poll(() => ours().every((_, n) => goesOn(n)), 'life without Redis').catch(async (error) => {
    throw new Error(`${error.message}; ${JSON.stringify({ said, now: talk.marks(), speakers: talk.states(), servers: await Promise.all(ours().map(info)) })}`);
  });
  await redis.restore();
  const back = Date.now();
  await poll(async () => (await Promise.all(ours().map(info))).every(({ backplane }) => backplane.state === 'Up'), 'all to be Up');
  // A later number will do: the reference sends nothing of what waited too long.
  const goal = talk.marks().said;
  await poll(() => ledgers.every((ledger) => ledger.has(goal)), 'everybody to hear everybody again', 60_000).catch((error) => {
    const deaf = ledgers.map((ledger) => `${ledger.name}: ${ledger.lacks(goal)}`);
    throw new Error(`${error.message}; lacking is: ${deaf.join('; ')}; states ${talk.states()}; ${JSON.stringify([goal, talk.marks()])}`);
  });
  crowd.calm();
  return { from, killed: said, to: talk.marks().said, ms: Date.now() - back };
}

const moved = (marks, by) => Object.fromEntries(TOPICS.map((topic) => [topic, marks[topic].map((number) => number + by)]));

/**
 * What the outage cost the servers of ours among themselves, which is what their counts say. A Redis that is killed may have
 * confirmed in its last moment what it then told nobody: that is lost in the gap which every server reports.
 */
async function account(ledgers, before, { killed }) {
  const now = await Promise.all(ours().map(info));
  const growth = (n, count) => now[n].backplane[count] - before[n].backplane[count];
  return now.map(({ backplane }, n) => {
    const grown = (count) => growth(n, count);
    if (redis.deafensAll) assert.ok(grown('gaps') > 0, `${nodes[n].name} reports no gap`);
    const lost = (of) => of.flatMap((ledger) => ledger.lost(n)).filter(({ topic, number }) => number >= killed[topic][n]);
    // Where a primary changes, who was deaf may also have missed what was published elsewhere, by itself too.
    const heard = ({ node }) => nodes[node].isOurs && (redis.isAlone || growth(node, 'gaps') === 0);
    const away = new Set(lost(ledgers.filter((ledger) => heard(ledger) && ledger.node !== n)).map(({ topic, number }) => `${topic} ${number}`)).size;
    const home = lost(ledgers.filter((ledger) => heard(ledger) && ledger.node === n)).length;
    const [dropped, unknown] = [grown('dropped'), grown('unknown')];
    const line = `${nodes[n].name} lost ${away} (${home} at home), ${dropped} dropped, ${unknown} unknown`;
    const counted = unknown + (redis.isAlone ? 0 : LAST_MOMENT);
    assert.ok(away <= dropped + counted && home <= LISTENERS_PER_NODE * counted, `a loss that was not counted: ${line}`);
    assert.equal(backplane.overflowed, 0, nodes[n].name);
    return line;
  });
}

/** What is subscribed to. The reference may keep channels of clients that left while Redis was away. */
const wanted = async () => ({
  subscriptions: await redis.subscriptions(),
  channels: DOTNET_BIN ? [] : await redis.channels(),
});

/** Waits until nobody is connected and nothing is subscribed to that was not before; gives what servers of ours hold. */
async function emptied(untouched) {
  await poll(async () => (await wanted()).subscriptions === untouched.subscriptions, 'all channels to be given up')
    .catch(async (error) => assert.fail(`${error.message}: ${JSON.stringify([untouched, await wanted(), await redis.channels()])}`));
  assert.deepEqual(await wanted(), untouched);
  await poll(async () => (await Promise.all(nodes.map(info))).every(({ connections }) => connections === 0), 'all clients to be gone');
  return Promise.all(ours().map(async (node) => {
    const { name, liveBytes: live } = await info(node);
    return { name, live, resident: resident(node.child.pid) };
  }));
}

/** From the kernel, in bytes. */
const resident = (pid) => 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
