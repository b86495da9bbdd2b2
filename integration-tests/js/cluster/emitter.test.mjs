// A program that is no server reaches the clients of a fleet through Redis, by what FORMAT.md says and nothing else.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { connect, eachProtocol, inbox } from '../support/client.mjs';
import { Redis, groupCommand, invocation } from '../support/emitter.mjs';
import { ours, startFleet } from '../support/fleet.mjs';
import { within } from '../support/wait.mjs';

const HUB = 'Peer.ScaleHub';
const EMITTER = 'emitter_00112233445566778899aabbccddeeff';

let servers;
before(async () => { servers = await startFleet(ours(2)); });
after(() => servers?.end());

/** Two clients on two servers, one of them with a user. */
async function people(t, protocol) {
  const [here, there] = servers.nodes;
  const user = `ünï ${protocol.name}`;
  const ann = await connect(t, `${here.url}/scale?user=${encodeURIComponent(user)}`, protocol);
  const bob = await connect(t, `${there.url}/scale`, protocol);
  return { user, ann, bob };
}

eachProtocol(test, 'it sends to all, a group, a user and a connection', async (t, protocol) => {
  const { user, ann, bob } = await people(t, protocol);
  const method = `Say${protocol.name}`;
  const [annHears, bobHears] = [ann, bob].map((connection) => inbox(connection, method));
  const group = `Grüße *: ${protocol.name}`;
  for (const connection of [ann, bob]) await within(connection.invoke('Join', group), 'the join');
  const redis = await Redis.open(t, servers.redis.port);
  const send = (channel, text, options) => redis.publish(`${HUB}:${channel}`, invocation(method, [text], options));

  assert.equal(await send('all', 'to all'), 2, 'both servers get it');
  assert.equal(await send(`group:${group}`, 'to the group, without Ann', { excluded: [ann.connectionId, 'nobody'] }), 2);
  assert.equal(await send(`user:${user}`, 'to Ann'), 1);
  assert.equal(await send(`connection:${bob.connectionId}`, 'to Bob'), 1);
  assert.equal(await send('connection:nobody', 'to nobody'), 0);
  const long = 'x'.repeat(70_000);
  assert.equal(await send('all', long), 2);

  assert.deepEqual((await annHears.take(3)).sort(), ['to Ann', 'to all', long].sort());
  const toBob = ['to Bob', 'to all', 'to the group, without Ann', long].sort();
  assert.deepEqual((await bobHears.take(4)).sort(), toBob);
});

eachProtocol(test, 'it asks a client and gets the answer', async (t, protocol) => {
  const { bob } = await people(t, protocol);
  bob.on('Ask', (text) => `${text}? yes`);
  const listening = await Redis.open(t, servers.redis.port);
  const returnChannel = `${HUB}:internal:return:${EMITTER}`;
  await listening.subscribe(returnChannel);
  const asking = await Redis.open(t, servers.redis.port);
  const question = invocation('Ask', ['tea'], { id: `question-${protocol.name}`, returnChannel });
  assert.equal(await asking.publish(`${HUB}:connection:${bob.connectionId}`, question), 1);
  const [[channel, completion]] = await listening.messages.take(1);
  assert.equal(channel, returnChannel);
  // An array of the protocol's name and a blob.
  assert.equal(completion[0], 0x92);
  assert.ok(completion.includes(protocol.name) && completion.includes('tea? yes'), completion.toString('latin1'));
});

eachProtocol(test, 'it puts a client into a group and is told when that is in force', async (t, protocol) => {
  const { bob } = await people(t, protocol);
  const group = `guests ${protocol.name}`;
  const hears = inbox(bob, 'Welcome');
  const listening = await Redis.open(t, servers.redis.port);
  await listening.subscribe(`${HUB}:internal:ack:${EMITTER}`);
  const redis = await Redis.open(t, servers.redis.port);
  await redis.publish(`${HUB}:internal:groups`, groupCommand(42, EMITTER, 1, group, bob.connectionId));
  const [[, ack]] = await listening.messages.take(1);
  assert.equal(ack.toString('hex'), '912a');
  assert.equal(await redis.publish(`${HUB}:group:${group}`, invocation('Welcome', ['Bob'])), 1);
  assert.deepEqual(await hears.take(1), ['Bob']);
});
