// Stateful reconnect: sockets that are cut, clients that stay away, and who does not have it.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startPeer } from './support/server.mjs';
import { build, closed, connect, eachProtocol, inbox } from './support/client.mjs';
import { Cutter } from './support/cutter.mjs';
import { cutInTraffic } from './support/stateful.mjs';
import { poll } from './support/wait.mjs';

const RETRY = { nextRetryDelayInMilliseconds: () => 100 };

let server;
let plain;
before(async () => {
  [server, plain] = await Promise.all([
    startPeer(['--stateful', '--stateful-buffer', '100000', '--parallel', '4']),
    startPeer(),
  ]);
});
after(() => Promise.all([server?.kill(), plain?.kill()]));

eachProtocol(test, 'nothing is lost, doubled or out of order while the socket is cut in traffic', (t, protocol) =>
  cutInTraffic(t, protocol, server.port, server.url));

eachProtocol(test, 'messages larger than the buffer of either side pass, cut or not', async (t, protocol) => {
  const cutter = await Cutter.start(server.port);
  t.after(() => cutter.end());
  const client = await connect(t, `${cutter.url}/scale`, protocol, { stateful: true });
  const box = inbox(client, 'Large');
  const text = 'x'.repeat(25_000);
  for (let n = 0; n < 8; n += 1) {
    // Eight of them are twice what the client may have unconfirmed: it waits for acknowledgements.
    await client.send('SendCaller', 'Large', `${n}${text}`);
    if (n === 3) await poll(() => cutter.cut() > 0, 'a socket to cut');
  }
  const items = await box.take(8);
  assert.deepEqual(items.map((item) => item[0]), ['0', '1', '2', '3', '4', '5', '6', '7']);
  assert.ok(items.every((item) => item.length === text.length + 1));
});

eachProtocol(test, 'where the server does not allow it a cut is an end', async (t, protocol) => {
  const cutter = await Cutter.start(plain.port);
  t.after(() => cutter.end());
  const client = await connect(t, `${cutter.url}/scale`, protocol, { stateful: true });
  const end = closed(client);
  assert.ok(cutter.cut() > 0);
  assert.ok(await end() instanceof Error);
});

eachProtocol(test, 'an ordinary stop is final', async (t, protocol) => {
  const client = await connect(t, `${server.url}/scale`, protocol, { stateful: true });
  const end = closed(client);
  await client.stop();
  assert.equal(await end(), undefined);
});

eachProtocol(test, 'a client that was away too long begins anew', async (t, protocol) => {
  const short = await startPeer(['--stateful', '--disconnect-timeout-ms', '1000']);
  t.after(() => short.kill());
  const cutter = await Cutter.start(short.port);
  t.after(() => cutter.end());
  const client = build(t, `${cutter.url}/scale`, protocol, { stateful: true, reconnect: RETRY });
  await client.start();
  const id = client.connectionId;
  cutter.refuse = true;
  cutter.cut();
  await poll(() => client.state !== 'Connected', 'the client to notice');
  await poll(async () => !(await ids(short)).includes(id), 'the server to forget it');
  cutter.refuse = false;
  await poll(() => client.state === 'Connected' && client.connectionId !== id, 'another connection');
});

async function ids(peer) {
  const info = await (await fetch(`${peer.url}/control/info`)).json();
  return info.ids.map((entry) => entry.id);
}
