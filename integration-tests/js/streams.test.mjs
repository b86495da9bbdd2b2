// Streams both ways: items, end, cancel, errors.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import * as signalR from '@microsoft/signalr';
import { startPeer } from './support/server.mjs';
import { collect, connect, eachLink, failure, inbox } from './support/client.mjs';
import { within } from './support/wait.mjs';

let server;
before(async () => { server = await startPeer(); });
after(() => server?.kill());

eachLink(test, 'a server stream gives its items and completes', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol);
  for (const method of ['Counter', 'CounterChannel']) {
    const stream = collect(connection.stream(method, 100, 0));
    assert.equal(await stream.ended(), 'complete');
    assert.deepEqual(stream.items.items, Array.from({ length: 100 }, (_, i) => i));
  }
});

eachLink(test, 'a server stream of text, and an empty one', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/testhub`, protocol);
  const letters = collect(connection.stream('Stream'));
  assert.equal(await letters.ended(), 'complete');
  assert.deepEqual(letters.items.items, ['a', 'b', 'c']);
  const empty = collect(connection.stream('EmptyStream'));
  assert.equal(await empty.ended(), 'complete');
  assert.deepEqual(empty.items.items, []);
});

eachLink(test, 'a cancelled stream stops on the server', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/testhub`, protocol);
  const told = inbox(connection, 'StreamCanceled');
  const stream = collect(connection.stream('InfiniteStream'));
  await connection.invoke('Echo', 'the stream is running');
  stream.cancel();
  assert.equal((await told.take(1)).length, 1);
});

eachLink(test, 'a cancelled stream gives no more items, and the connection goes on', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol);
  const stream = collect(connection.stream('Counter', 1_000_000, 1));
  await stream.items.take(3);
  stream.cancel();
  const seen = stream.items.items.length;
  const second = collect(connection.stream('Counter', 3, 10));
  assert.equal(await second.ended(), 'complete');
  assert.equal(stream.items.items.length, seen);
});

eachLink(test, 'streams and calls run side by side', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol);
  const slow = collect(connection.stream('Counter', 1_000_000, 5));
  await slow.items.take(1);
  const quick = [collect(connection.stream('Counter', 50, 0)), collect(connection.stream('Counter', 20, 1))];
  assert.equal(await connection.invoke('Echo', 'meanwhile'), 'meanwhile');
  for (const stream of quick) assert.equal(await stream.ended(), 'complete');
  assert.deepEqual(quick.map((stream) => stream.items.items.length), [50, 20]);
  slow.cancel();
});

eachLink(test, 'an error inside a stream ends it after its items', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol);
  const stream = collect(connection.stream('CounterThrow', 3, 'hub', 'enough'));
  const end = await stream.ended();
  assert.equal(end.message, 'An error occurred on the server while streaming results. HubException: enough');
  assert.deepEqual(stream.items.items, [0, 1, 2]);
  const generic = await collect(connection.stream('CounterThrow', 0, 'other', 'secret')).ended();
  assert.equal(generic.message, 'An error occurred on the server while streaming results.');
});

eachLink(test, 'an error before the stream begins', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/testhub`, protocol);
  const end = await collect(connection.stream('StreamThrowException', 'no stream today')).ended();
  assert.equal(end.message, "An unexpected error occurred invoking 'StreamThrowException' on the server. InvalidOperationException: no stream today");
});

eachLink(test, 'streaming and plain methods mixed up', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol);
  assert.equal(
    await failure(connection.invoke('Counter', 1, 0)),
    "The client attempted to invoke the streaming 'Counter' method with a non-streaming invocation.",
  );
  const end = await collect(connection.stream('Echo', 1)).ended();
  assert.equal(end.message, "The client attempted to invoke the non-streaming 'Echo' method with a streaming invocation.");
});

eachLink(test, 'an unknown stream and one with too few arguments', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol);
  const unknown = await collect(connection.stream('NoSuchStream')).ended();
  assert.equal(unknown.message, "Failed to invoke 'NoSuchStream' due to an error on the server. HubException: Method does not exist.");
  const few = await collect(connection.stream('Counter', 1)).ended();
  assert.equal(few.message, "Failed to invoke 'Counter' due to an error on the server.");
});

eachLink(test, 'a client stream is read to its end', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol);
  const numbers = new signalR.Subject();
  const sum = connection.invoke('Sum', numbers);
  for (let i = 1; i <= 100; i += 1) numbers.next(i);
  numbers.complete();
  assert.equal(await within(sum, 'the sum'), 5_050);
});

eachLink(test, 'a client stream that fails fails the call', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/testhub`, protocol);
  const words = new signalR.Subject();
  const text = connection.invoke('StreamingConcat', words);
  words.next('a');
  words.error(new Error('the pen broke'));
  assert.match(await failure(text), /^An unexpected error occurred invoking 'StreamingConcat' on the server\. HubException: .*the pen broke/);
});

eachLink(test, 'a client stream item of the wrong type fails the call', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol);
  const numbers = new signalR.Subject();
  const sum = connection.invoke('Sum', numbers);
  numbers.next(1);
  numbers.next('two');
  assert.equal(await failure(sum), "An unexpected error occurred invoking 'Sum' on the server. HubException: Failed to bind Stream message.");
  assert.equal(await connection.invoke('Echo', 'after'), 'after');
});

eachLink(test, 'a client stream comes back as a server stream', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol);
  const numbers = new signalR.Subject();
  const stream = collect(connection.stream('Relay', numbers));
  numbers.next(1);
  await stream.items.take(1);
  numbers.next(2);
  numbers.complete();
  assert.equal(await stream.ended(), 'complete');
  assert.deepEqual(stream.items.items, [1, 2]);
});

eachLink(test, 'many more items than the buffer holds come through, several calls at once', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol);
  const count = 500;
  const subjects = [1, 2, 3].map(() => new signalR.Subject());
  const streams = subjects.map((subject) => collect(connection.stream('Relay', subject)));
  for (let i = 0; i < count; i += 1) subjects.forEach((subject) => subject.next(i));
  subjects.forEach((subject) => subject.complete());
  for (const stream of streams) {
    assert.equal(await stream.ended(), 'complete');
    assert.deepEqual(stream.items.items, Array.from({ length: count }, (_, i) => i));
  }
});

eachLink(test, 'a call without the stream that its method takes', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol);
  assert.equal(
    await failure(connection.invoke('Sum')),
    "An unexpected error occurred invoking 'Sum' on the server. HubException: Client sent 0 stream(s), Hub method expects 1.",
  );
  const numbers = new signalR.Subject();
  assert.equal(
    await failure(connection.invoke('Delay', 0, numbers)),
    "An unexpected error occurred invoking 'Delay' on the server. HubException: Client sent 1 stream(s), Hub method expects 0.",
  );
});
