// What a caller is told when a call fails, with and without detailed errors.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startPeer } from './support/server.mjs';
import { connect, eachLink, failure, inbox } from './support/client.mjs';

let server;
let detailed;
before(async () => {
  [server, detailed] = await Promise.all([startPeer(), startPeer(['--detailed-errors'])]);
});
after(() => Promise.all([server?.kill(), detailed?.kill()]));

const GENERIC = "An unexpected error occurred invoking 'Throw' on the server.";

// kind of error thrown, what everybody reads, what is added only with detailed errors
const THROWN = [
  ['hub', ' HubException: sorry', ''],
  ['derived', ' DerivedHubException: sorry', ''],
  ['other', '', ' InvalidOperationException: sorry'],
  ['timeout', '', ' TimeoutException: sorry'],
];

eachLink(test, 'the text of a hub exception reaches the caller, others only with detailed errors', async (t, protocol) => {
  const [short, long] = await both(t, protocol);
  for (const [kind, always, more] of THROWN) {
    assert.equal(await failure(short.invoke('Throw', kind, 'sorry')), GENERIC + always);
    assert.equal(await failure(long.invoke('Throw', kind, 'sorry')), GENERIC + always + more);
  }
});

eachLink(test, 'an error after waiting is reported like one at once', async (t, protocol) => {
  const [short] = await both(t, protocol);
  assert.equal(
    await failure(short.invoke('ThrowLater', 'hub', 'sorry')),
    "An unexpected error occurred invoking 'ThrowLater' on the server. HubException: sorry",
  );
});

eachLink(test, 'an unknown method', async (t, protocol) => {
  for (const connection of await both(t, protocol)) {
    assert.equal(
      await failure(connection.invoke('NoSuchMethod', 1)),
      "Failed to invoke 'NoSuchMethod' due to an error on the server. HubException: Method does not exist.",
    );
  }
});

eachLink(test, 'life-cycle methods cannot be called', async (t, protocol) => {
  const [short] = await both(t, protocol);
  for (const name of ['OnConnectedAsync', 'OnDisconnectedAsync', 'OnConnected', 'on_connected', 'Dispose']) {
    assert.match(await failure(short.invoke(name)), /HubException: Method does not exist\.$/);
  }
});

eachLink(test, 'a wrong number of arguments', async (t, protocol) => {
  const [short, long] = await both(t, protocol);
  const text = (name) => `Failed to invoke '${name}' due to an error on the server.`;
  assert.equal(await failure(short.invoke('Delay')), text('Delay'));
  assert.equal(await failure(short.invoke('Delay', 1, 2)), text('Delay'));
  const detail = (n) => ` InvalidDataException: Invocation provides ${n} argument(s) but target expects 1.`;
  assert.equal(await failure(long.invoke('Delay')), text('Delay') + detail(0));
  assert.equal(await failure(long.invoke('Delay', 1, 2)), text('Delay') + detail(2));
});

eachLink(test, 'an argument of the wrong type', async (t, protocol) => {
  const [short, long] = await both(t, protocol);
  assert.equal(await failure(short.invoke('Delay', 'soon')), "Failed to invoke 'Delay' due to an error on the server.");
  assert.equal(
    await failure(long.invoke('Delay', 'soon')),
    "Failed to invoke 'Delay' due to an error on the server. InvalidDataException: Error binding arguments. "
      + 'Make sure that the types of the provided values match the types of the hub method being invoked.',
  );
});

eachLink(test, 'a failed send is silent, and the connection goes on', async (t, protocol) => {
  const [short] = await both(t, protocol);
  const received = inbox(short, 'Note');
  await short.send('NoSuchMethod');
  await short.send('Throw', 'other', 'x');
  await short.send('Delay', 'soon');
  await short.send('SendCaller', 'Note', 'still here');
  assert.deepEqual(await received.take(1), ['still here']);
});

eachLink(test, 'errors are detailed on the suite hubs whatever the flag says', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/testhub`, protocol);
  assert.equal(
    await failure(connection.invoke('ThrowException', 'An error occurred.')),
    "An unexpected error occurred invoking 'ThrowException' on the server. InvalidOperationException: An error occurred.",
  );
});

function both(t, protocol) {
  return Promise.all([server, detailed].map(({ url }) => connect(t, `${url}/scale`, protocol)));
}
