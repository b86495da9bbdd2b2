// Connections of the official client, over every transport, in both protocols; and every connection a test opened is
// stopped at its end.

import * as signalR from '@microsoft/signalr';
import { MessagePackHubProtocol } from '@microsoft/signalr-protocol-msgpack';
import { WatchingClient } from './secrets.mjs';
import { Inbox, deferred, within } from './wait.mjs';

const QUIET = signalR.NullLogger.instance;
const LOG = signalR.LogLevel[process.env.SIGNALR_TEST_LOG ?? 'None'];

export const PROTOCOLS = [
  { name: 'json', make: () => new signalR.JsonHubProtocol() },
  { name: 'messagepack', make: () => new MessagePackHubProtocol() },
];

const { WebSockets, ServerSentEvents, LongPolling } = signalR.HttpTransportType;
const over = (transport, protocol) => ({ ...protocol, transport });

/** What a client can be connected by: a protocol over a transport. Server-Sent Events carry no binary. */
export const LINKS = [
  ...PROTOCOLS.map((protocol) => over(WebSockets, protocol)),
  over(ServerSentEvents, PROTOCOLS[0]),
  ...PROTOCOLS.map((protocol) => over(LongPolling, protocol)),
];

/** Builds a connection that is not started yet. `test` is the test context that owns it. */
export function build(test, url, protocol, options = {}) {
  const { reconnect, stateful, ...transport } = options;
  const builder = new signalR.HubConnectionBuilder()
    .withUrl(url, { transport: protocol.transport ?? WebSockets, httpClient: new WatchingClient(QUIET), ...transport })
    .withHubProtocol(protocol.make())
    .configureLogging(LOG);
  if (reconnect) builder.withAutomaticReconnect(reconnect);
  if (stateful) builder.withStatefulReconnect();
  const connection = builder.build();
  test.after(() => connection.stop());
  return connection;
}

/** Builds and starts one. */
export async function connect(test, url, protocol, options) {
  const connection = build(test, url, protocol, options);
  await within(connection.start(), `a connection to ${url}`);
  return connection;
}

/** Collects the payloads that arrive for one client method. */
export function inbox(connection, method) {
  const box = new Inbox();
  connection.on(method, (...args) => box.push(args.length === 1 ? args[0] : args));
  return box;
}

/** Collects a server stream: items as they come, and how it ended ('complete', or the error). */
export function collect(stream) {
  const items = new Inbox();
  const end = deferred();
  const subscription = stream.subscribe({
    next: (item) => items.push(item),
    complete: () => end.resolve('complete'),
    error: (error) => end.resolve(error),
  });
  return { items, ended: () => within(end.promise, 'the end of a stream'), cancel: () => subscription.dispose() };
}

/** Resolves with the error (or undefined) once the connection has closed for good. */
export function closed(connection) {
  const end = deferred();
  connection.onclose((error) => end.resolve(error));
  return () => within(end.promise, 'the connection to close');
}

/** The text of the error with which `promise` fails. */
export async function failure(promise) {
  try {
    await within(promise, 'a failure');
  } catch (error) {
    return error.message;
  }
  throw new Error('It was expected to fail, and it succeeded.');
}

/** Runs `body` once for each of these links, as a test of its own. */
export const eachOf = (links) => (suite, name, body) => {
  for (const link of links) {
    suite(`${name} (${link.name}, ${signalR.HttpTransportType[link.transport]})`, (test) => body(test, link));
  }
};

/** Runs `body` once for each protocol over each transport, as a test of its own. */
export const eachLink = eachOf(LINKS);

/** Runs `body` once for each protocol over WebSockets, as a test of its own. */
export function eachProtocol(suite, name, body) {
  for (const protocol of PROTOCOLS) {
    suite(`${name} (${protocol.name})`, (test) => body(test, protocol));
  }
}
