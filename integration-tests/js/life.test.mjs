// How a connection lives and ends: keep-alive, time-outs, stop, Abort, size limit, crash and restart of the server.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import WebSocket from 'ws';
import * as signalR from '@microsoft/signalr';
import { startPeer } from './support/server.mjs';
import { LINKS, build, closed, collect, connect, eachLink, eachOf, eachProtocol, failure, inbox } from './support/client.mjs';
import { Inbox, poll, within } from './support/wait.mjs';

const QUICK = ['--keep-alive-ms', '1000', '--client-timeout-ms', '3000'];
const RETRY = { nextRetryDelayInMilliseconds: () => 100 };

let server;
let quick;
before(async () => {
  [server, quick] = await Promise.all([startPeer(), startPeer([...QUICK, '--max-receive', '2000', '--detailed-errors'])]);
});
after(() => Promise.all([server?.kill(), quick?.kill()]));

eachProtocol(test, 'pings of both sides keep an idle connection alive', async (t, protocol) => {
  const frames = new Inbox();
  class Counting extends WebSocket {
    constructor(...args) {
      super(...args);
      this.on('message', (data) => frames.push(Buffer.from(data).toString('hex')));
    }
  }
  const connection = build(t, `${quick.url}/scale`, protocol, { WebSocket: Counting });
  connection.serverTimeoutInMilliseconds = 3_500;
  connection.keepAliveIntervalInMilliseconds = 500;
  let lost = false;
  connection.onclose(() => { lost = true; });
  await connection.start();
  const ping = protocol.name === 'json' ? Buffer.from('{"type":6}\u001e').toString('hex') : '029106';
  // Four pings take longer than either side's time-out.
  await frames.until((all) => all.filter((frame) => frame === ping).length >= 4, 'four pings of the server');
  assert.equal(lost, false);
  assert.equal(connection.state, signalR.HubConnectionState.Connected);
  assert.equal(await connection.invoke('Echo', 'alive'), 'alive');
});

// Over long polling the client never pings: its polls are enough.
const pinging = LINKS.filter(({ transport }) => transport !== signalR.HttpTransportType.LongPolling);
eachOf(pinging)(test, 'a client that stops pinging is cut, and told why', async (t, protocol) => {
  const connection = build(t, `${quick.url}/scale`, protocol);
  const end = closed(connection);
  connection.keepAliveIntervalInMilliseconds = 500;
  await connection.start();
  await connection.invoke('Echo', 'first');
  connection.keepAliveIntervalInMilliseconds = 3_600_000;
  assert.equal(
    (await end()).message,
    'Server returned an error on close: Connection closed with an error. OperationCanceledException: '
      + "Client hasn't sent a message/ping within the configured ClientTimeoutInterval.",
  );
});

eachLink(test, 'stop ends the connection on both sides', async (t, protocol) => {
  const [one, other] = [await connect(t, `${server.url}/scale?user=stopper`, protocol), await connect(t, `${server.url}/scale`, protocol)];
  const end = closed(one);
  await one.stop();
  assert.equal(await end(), undefined);
  assert.equal(one.state, signalR.HubConnectionState.Disconnected);
  const forgotten = async () => !(await connectionsOf(server)).some(({ user }) => user === 'stopper');
  await poll(forgotten, 'the server to forget the connection');
  await other.invoke('SendUser', 'stopper', 'Note', 'nobody hears this');
});

eachLink(test, 'a stopped connection starts again with a new id', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol);
  const first = connection.connectionId;
  await connection.stop();
  await connection.start();
  assert.notEqual(connection.connectionId, first);
  assert.equal(await connection.invoke('GetConnectionId'), connection.connectionId);
});

eachLink(test, 'stop fails what is still running', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol);
  const broken = failure(connection.invoke('Delay', 3_600_000));
  const stream = collect(connection.stream('Counter', 10, 3_600_000));
  await connection.stop();
  assert.match(await broken, /connection being closed/);
  assert.match((await stream.ended()).message, /connection being closed/);
});

eachLink(test, 'Abort closes without an error, and the client does not come back', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol, { reconnect: RETRY });
  const end = closed(connection);
  let reconnecting = false;
  connection.onreconnecting(() => { reconnecting = true; });
  await connection.send('Abort');
  assert.equal(await end(), undefined);
  assert.equal(reconnecting, false);
});

eachLink(test, 'a message above the limit closes the connection, one below passes', async (t, protocol) => {
  const connection = await connect(t, `${quick.url}/scale`, protocol);
  const end = closed(connection);
  assert.equal(await connection.invoke('Echo', 'x'.repeat(1_800)), 'x'.repeat(1_800));
  connection.invoke('Echo', 'x'.repeat(2_001)).catch(() => {});
  assert.equal(
    (await end()).message,
    'Server returned an error on close: Connection closed with an error. InvalidDataException: '
      + 'The maximum message size of 2000B was exceeded. The message size can be configured in AddHubOptions.',
  );
});

eachLink(test, 'the limit is 32 KiB by default, and the client may come back', async (t, protocol) => {
  const connection = await connect(t, `${server.url}/scale`, protocol, { reconnect: RETRY });
  const events = life(connection);
  assert.equal((await connection.invoke('Echo', 'x'.repeat(32_600))).length, 32_600);
  const call = connection.invoke('Echo', 'x'.repeat(40_000));
  assert.equal(await failure(call), 'Server returned an error on close: Connection closed with an error.');
  await events.until((all) => all.includes('reconnected'), 'the client to reconnect');
});

eachLink(test, 'without a limit large messages pass', async (t, protocol) => {
  const open = await startPeer(['--max-receive', '0']);
  t.after(() => open.kill());
  const connection = await connect(t, `${open.url}/scale`, protocol);
  const text = 'ä'.repeat(2_000_000);
  assert.equal(await within(connection.invoke('Echo', text), 'a large echo'), text);
});

eachLink(test, 'the connection closes with an error when the server crashes', async (t, protocol) => {
  const victim = await startPeer();
  t.after(() => victim.kill());
  const connection = await connect(t, `${victim.url}/scale`, protocol);
  const end = closed(connection);
  const broken = failure(connection.invoke('Delay', 3_600_000));
  await victim.kill();
  // Over Server-Sent Events the client takes any end of the stream for a close without an error.
  const silent = protocol.transport === signalR.HttpTransportType.ServerSentEvents;
  assert.equal(await end() instanceof Error, !silent);
  assert.notEqual(await broken, '');
});

for (const how of ['kill', 'terminate']) {
  eachLink(test, `clients come back after the server was restarted (${how})`, async (t, protocol) => {
    const victim = await startPeer();
    t.after(() => victim.kill());
    const options = { reconnect: RETRY };
    const url = `${victim.url}/scale`;
    const clients = [await connect(t, url, protocol, options), await connect(t, url, protocol, options)];
    const before = clients.map(({ connectionId }) => connectionId);
    const events = clients.map(life);
    await Promise.all(clients.map((connection) => connection.invoke('Join', 'room')));
    await victim[how]();
    await Promise.all(events.map((box) => box.take(1, 'the clients to notice')));
    const again = await startPeer([], victim.port);
    t.after(() => again.kill());
    for (const box of events) {
      assert.deepEqual(await box.take(2, 'the clients to come back'), ['reconnecting', 'reconnected']);
    }
    clients.forEach((connection, i) => assert.notEqual(connection.connectionId, before[i]));
    // Groups are gone with the old connections; join again, and all works as before.
    const received = inbox(clients[1], 'Note');
    await clients[0].invoke('SendGroup', 'room', 'Note', 'too early');
    await clients[1].invoke('Join', 'room');
    await clients[0].invoke('SendGroup', 'room', 'Note', 'welcome back');
    assert.deepEqual(await received.take(1), ['welcome back']);
  });
}

test('the server ends with exit code 0 when it is asked to', async (t) => {
  const polite = await startPeer();
  t.after(() => polite.kill());
  await connect(t, `${polite.url}/scale`, { make: () => new signalR.JsonHubProtocol() });
  assert.equal(await polite.terminate(), 0);
});

/** The order of reconnecting and reconnected of one connection. */
function life(connection) {
  const events = new Inbox();
  connection.onreconnecting(() => events.push('reconnecting'));
  connection.onreconnected(() => events.push('reconnected'));
  return events;
}

/** The connections that a server has, by its own report. */
async function connectionsOf({ url }) {
  return (await (await fetch(`${url}/control/info`)).json()).ids;
}
