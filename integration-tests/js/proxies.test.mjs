// Behind real proxies that buffer, compress and have little patience: every transport works, events arrive at once, and
// what is silent stays connected.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import * as signalR from '@microsoft/signalr';
import { startPeer } from './support/server.mjs';
import { LINKS, collect, connect, inbox } from './support/client.mjs';
import { PROXIES } from './support/proxy.mjs';
import { poll, within } from './support/wait.mjs';

// Both sides ping more often than the proxies lose their patience, and polls end before.
const FLAGS = ['--keep-alive-ms', '1000', '--poll-timeout-ms', '1500'];
const IDLE_MS = 7_000;

let server;
const urls = {};
const running = [];

before(async () => {
  server = await startPeer(FLAGS);
  running.push(server);
  for (const { name, start } of PROXIES) {
    const proxy = await start(server.port);
    running.push(proxy);
    urls[name] = proxy.url;
    await poll(() => fetch(`${proxy.url}/control/info`).then(({ ok }) => ok, () => false), `${name} to listen`);
  }
});
after(() => Promise.all(running.map((program) => program.kill())));

for (const { name } of PROXIES) {
  test(`${name}: an event arrives by itself, uncompressed, however small`, async () => {
    const accept = { accept: 'text/event-stream', 'accept-encoding': 'gzip' };
    const negotiated = await fetch(`${urls[name]}/scale/negotiate?negotiateVersion=1`, { method: 'POST' });
    const at = `${urls[name]}/scale?id=${(await negotiated.json()).connectionToken}`;
    const cut = new AbortController();
    const events = await within(fetch(at, { headers: accept, signal: cut.signal }), 'the head of the events');
    assert.equal(events.headers.get('content-type'), 'text/event-stream');
    assert.notEqual(events.headers.get('content-encoding'), 'gzip');
    const reader = events.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    const until = async (end) => {
      while (!text.endsWith(end)) text += (await within(reader.read(), `${end} behind ${text}`)).value;
    };
    await until(':\r\n');
    await fetch(at, { method: 'POST', body: '{"protocol":"json","version":1}\u001e' });
    await until('data: {}\u001e\r\n\r\n');
    cut.abort();
    await reader.closed.catch(() => {});
  });

  for (const link of LINKS) {
    const title = `${name}: ${link.name} over ${signalR.HttpTransportType[link.transport]}`;

    test(`${title}: calls, sends and streams`, async (t) => {
      const connection = await connect(t, `${urls[name]}/scale`, link);
      const notes = inbox(connection, 'Note');
      assert.equal(await within(connection.invoke('Echo', 'ä'), 'an answer'), 'ä');
      assert.equal(await within(connection.invoke('Echo', 'x'.repeat(30_000)), 'a long answer'), 'x'.repeat(30_000));
      for (let n = 0; n < 20; n += 1) await connection.send('SendCaller', 'Note', String(n));
      assert.deepEqual(await notes.take(20), Array.from({ length: 20 }, (_, n) => String(n)));
      const counted = collect(connection.stream('Counter', 5, 1));
      assert.equal(await counted.ended(), 'complete');
      assert.equal(counted.items.items.length, 5);
    });
  }

  test(`${name}: silent connections stay, whatever carries them`, async (t) => {
    const connections = await Promise.all(LINKS.map((link) => connect(t, `${urls[name]}/scale`, link)));
    let lost = 0;
    for (const connection of connections) {
      connection.keepAliveIntervalInMilliseconds = 1_000;
      connection.onclose(() => { lost += 1; });
    }
    // An answer that takes twice the proxies' patience: nothing but pings and polls meanwhile.
    const slow = connections.map((connection) => within(connection.invoke('Delay', IDLE_MS), 'a slow answer'));
    await Promise.all(slow);
    assert.equal(lost, 0);
  });
}
