// Two chat servers that share one Redis, each with people in a real browser: they talk across, and when Redis dies nobody
// is thrown out, the pages say what is out of reach, and everything is as before when it is back.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Visitor, launch } from './support/browser.mjs';
import { startChat, startRedis } from './support/server.mjs';
import { poll } from './support/wait.mjs';

const NOTE = 'Other servers are out of reach';

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

test('people on two servers chat; Redis dies and comes back, and nobody loses the connection', async (t) => {
  const redis = await startRedis();
  t.after(() => redis.kill());
  const flags = ['--redis', `redis://127.0.0.1:${redis.port}`];
  const [here, there] = await Promise.all([startChat(0, flags), startChat(0, flags)]);
  t.after(() => Promise.all([here.kill(), there.kill()]));
  // Ann and Carl share a server; Bob is on the other one and speaks another protocol.
  const [ann, carl] = [await Visitor.open(t, browser, here.url), await Visitor.open(t, browser, here.url)];
  const bob = await Visitor.open(t, browser, `${there.url}/?protocol=messagepack`);
  const all = [ann, bob, carl];

  await ann.enter('Ann', 'fleet');
  await carl.enter('Carl', 'fleet');
  await bob.enter('Bob', 'fleet');
  await Promise.all(all.map((visitor) => poll(async () => !await note(visitor).isVisible(), 'all servers in reach')));
  await ann.hears('Bob came in');
  await ann.say('hello to the other server');
  await Promise.all([bob, carl].map((visitor) => visitor.hears('hello to the other server')));
  await bob.say('and back');
  await Promise.all([ann, carl].map((visitor) => visitor.hears('and back')));
  const newSockets = all.map(opened);

  await redis.kill();
  await Promise.all(all.map((visitor) => note(visitor).waitFor()));
  for (const visitor of all) {
    await visitor.status('Connected');
    assert.equal(await visitor.page.locator('#trouble').isVisible(), false, 'it is no trouble with the server');
  }
  await ann.say('only here');
  await carl.hears('only here');
  await bob.say('only there');
  assert.ok(!(await bob.messages()).includes('only here'), 'there is no other way than Redis');
  assert.ok(!(await ann.messages()).includes('only there'));
  await ann.screenshot('fleet-redis-gone');
  await bob.screenshot('fleet-redis-gone-other-server');

  const again = await startRedis(redis.port);
  t.after(() => again.kill());
  await Promise.all(all.map((visitor) => note(visitor).waitFor({ state: 'hidden' })));
  await ann.say('together again');
  await Promise.all([bob, carl].map((visitor) => visitor.hears('together again')));
  await bob.say('so we are');
  await Promise.all([ann, carl].map((visitor) => visitor.hears('so we are')));
  for (const visitor of all) {
    const talk = await visitor.messages();
    // What was kept through the outage may come late or not at all, as the outage's length decides, but never twice.
    assert.equal(new Set(talk).size, talk.length, `said once, heard once: ${talk}`);
    assert.deepEqual(visitor.errors, []);
  }
  assert.deepEqual(newSockets, all.map(() => []), 'nobody had to connect again');
  await bob.screenshot('fleet-redis-back');
});

test('a page that comes while Redis is away is told so at once, also on a phone', async (t) => {
  const redis = await startRedis();
  t.after(() => redis.kill());
  const server = await startChat(0, ['--redis', `redis://127.0.0.1:${redis.port}`]);
  t.after(() => server.kill());
  await redis.kill();
  const phone = { viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true, colorScheme: 'dark' };
  const ann = await Visitor.open(t, browser, server.url, phone);
  await ann.enter('Ann', 'alone');
  await note(ann).waitFor();
  await ann.say('hello myself');
  assert.ok(await ann.fits());
  await ann.screenshot('fleet-redis-gone-phone');
});

test('a server without Redis has nothing to say about others', async (t) => {
  const server = await startChat();
  t.after(() => server.kill());
  const ann = await Visitor.open(t, browser, server.url);
  await ann.enter('Ann', 'lone');
  await ann.say('one');
  assert.equal(await ann.page.locator('#notice').isVisible(), false);
  assert.deepEqual(ann.errors, []);
});

/** What the page says about other servers. */
function note(visitor) {
  return visitor.page.locator('#notice').filter({ hasText: NOTE });
}

/** The connections that the page opens from now on. */
function opened(visitor) {
  const sockets = [];
  visitor.page.on('websocket', (socket) => sockets.push(socket.url()));
  return sockets;
}
