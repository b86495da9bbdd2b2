// A client with stateful reconnect whose socket is cut again and again while everything goes both ways.

import assert from 'node:assert/strict';
import * as signalR from '@microsoft/signalr';
import { collect, connect, inbox } from './client.mjs';
import { Cutter } from './cutter.mjs';
import { poll, within } from './wait.mjs';

const MESSAGES = 150;
const CUTS = 5;
const numbers = (count) => Array.from({ length: count }, (_, n) => n);

/**
 * Cuts the client's socket in the middle of sends to all, to its group and to itself, of its own sends and calls, of
 * questions to it, of a stream that it reads and one that it writes. Everything arrives once and in order, and nobody
 * notices.
 * @param home the port of the server that the client is connected to
 * @param away where the others are connected: the same server, or another of its fleet
 */
export async function cutInTraffic(t, protocol, home, away) {
  const cutter = await Cutter.start(home);
  t.after(() => cutter.end());
  const run = Math.random().toString(36).slice(2);
  const client = await connect(t, `${cutter.url}/scale`, protocol, { stateful: true });
  const other = await connect(t, `${away}/scale`, protocol);
  const id = client.connectionId;
  const group = `group-${run}`;
  await client.invoke('Join', group);
  await other.invoke('Join', `other-${run}`);
  const lost = [];
  client.onclose((error) => lost.push(`closed ${error}`));
  client.onreconnecting((error) => lost.push(`reconnecting ${error}`));
  const box = inbox(client, `Down${run}`);
  const up = inbox(other, `Up${run}`);
  const asked = [];
  client.on('Question', (n) => {
    asked.push(Number(n));
    return n * 2;
  });

  const down = async () => {
    const sends = [
      (text) => other.invoke('SendAll', `Down${run}`, text),
      (text) => other.invoke('SendGroup', group, `Down${run}`, text),
      (text) => other.invoke('SendClient', id, `Down${run}`, text),
    ];
    // Each way has an order of its own when there is a backplane between.
    for (const n of numbers(MESSAGES)) await sends[n % sends.length](`${n}`);
  };
  const calls = async () => {
    for (const n of numbers(MESSAGES)) assert.equal(await client.invoke('Echo', n), n);
  };
  const sends = async () => {
    for (const n of numbers(MESSAGES)) await client.send('SendGroup', `other-${run}`, `Up${run}`, `${n}`);
  };
  const questions = async () => {
    for (const n of numbers(MESSAGES / 5)) assert.equal(await other.invoke('AskClient', id, 'Question', `${n}`), n * 2);
  };
  const counter = collect(client.stream('Counter', MESSAGES, 4));
  const upload = new signalR.Subject();
  const sum = client.invoke('Sum', upload);
  const uploading = async () => {
    for (const n of numbers(MESSAGES)) {
      upload.next(n);
      await new Promise((resolve) => { setImmediate(resolve); });
    }
    upload.complete();
  };
  const cutting = async () => {
    for (const cut of numbers(CUTS)) {
      const reached = Math.floor(((cut + 1) * MESSAGES) / (CUTS + 2));
      await poll(() => box.items.length >= reached, `${reached} messages, of which ${box.items.length} came`);
      await poll(() => cutter.cut() > 0, 'a socket to cut');
    }
  };
  await within(
    Promise.all([down(), calls(), sends(), questions(), uploading(), cutting()]),
    'all traffic to end',
    60_000,
  );

  const received = (await box.take(MESSAGES)).map(Number);
  for (const way of [0, 1, 2]) {
    const expected = numbers(MESSAGES).filter((n) => n % 3 === way);
    assert.deepEqual(received.filter((n) => n % 3 === way), expected, 'in order, once');
  }
  assert.deepEqual((await up.take(MESSAGES)).map(Number), numbers(MESSAGES), 'sent once, in order');
  assert.equal(await counter.ended(), 'complete');
  assert.deepEqual(counter.items.items, numbers(MESSAGES));
  assert.equal(await within(sum, 'the sum'), (MESSAGES * (MESSAGES - 1)) / 2);
  assert.deepEqual(asked, numbers(MESSAGES / 5));
  // What may still come would be too much.
  await other.invoke('SendClient', id, `Down${run}`, 'last');
  const all = await box.until((items) => items.includes('last'), 'the last message');
  assert.equal(all.length, MESSAGES + 1);
  assert.deepEqual(lost, [], 'nobody noticed');
  assert.equal(client.connectionId, id);
  assert.equal(await client.invoke('GetConnectionId'), id);
}
