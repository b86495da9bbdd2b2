// Client results: the hub asks one client, from inside of a call and from outside, over every transport.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startPeer } from './support/server.mjs';
import { connect, eachLink, failure, inbox } from './support/client.mjs';
import { within } from './support/wait.mjs';

const FAILED = "An unexpected error occurred invoking 'AskClient' on the server.";

let server;
before(async () => { server = await startPeer(); });
after(() => server?.kill());

eachLink(test, 'a client answers what the hub asks for another, and for itself', async (t, link) => {
  const [asker, asked] = await Promise.all([1, 2].map(() => connect(t, `${server.url}/scale`, link)));
  asked.on('Int', () => 42);
  asked.on('Text', async (name) => `hello ${name}`);
  assert.equal(await asker.invoke('AskClient', asked.connectionId, 'Int', 'x'), 42);
  // The call that asks is the connection's own: it must not keep the answer from being read.
  assert.equal(await within(asked.invoke('AskClientText', asked.connectionId, 'Text', 'Ada'), 'the answer'), 'hello Ada');
  const many = Array.from({ length: 20 }, (_, i) => asker.invoke('AskClientText', asked.connectionId, 'Text', String(i)));
  assert.deepEqual(await within(Promise.all(many), 'twenty answers'), many.map((_, i) => `hello ${i}`));
});

eachLink(test, 'what goes wrong with an answer fails the call that asked', async (t, link) => {
  const [asker, asked] = await Promise.all([1, 2].map(() => connect(t, `${server.url}/scale`, link)));
  asked.on('No', () => { throw new Error('not now'); });
  asked.on('Wrong', () => 'no number');
  const ask = (method) => failure(asker.invoke('AskClient', asked.connectionId, method, 'x'));
  assert.match(await ask('No'), /^An unexpected error occurred invoking 'AskClient' on the server\. HubException: .*not now/);
  assert.equal(await ask('Nothing'), `${FAILED} HubException: Client didn't provide a result.`);
  assert.ok((await ask('Wrong')).startsWith(`${FAILED} HubException: Error trying to deserialize result to Int32.`));
  assert.equal(await failure(asker.invoke('AskClient', 'nobody', 'Int', 'x')), FAILED);
});

eachLink(test, 'a client that leaves instead of answering fails the call', async (t, link) => {
  const [asker, asked] = await Promise.all([1, 2].map(() => connect(t, `${server.url}/scale`, link)));
  const questions = inbox(asked, 'Never');
  asked.on('Never', () => new Promise(() => {}));
  const answer = failure(asker.invoke('AskClient', asked.connectionId, 'Never', 'x'));
  await questions.take(1);
  await asked.stop();
  assert.equal(await answer, FAILED);
});

eachLink(test, 'code outside of the hub asks a client', async (t, link) => {
  const asked = await connect(t, `${server.url}/testhub`, link);
  asked.on('Result', () => 7);
  const response = await within(fetch(`${server.url}/clientresult/${asked.connectionId}`), 'the answer');
  assert.equal(response.status, 200);
  assert.match(await response.text(), /7/);
});
