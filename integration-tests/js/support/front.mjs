// One address before servers that come and go: haproxy, which leads a client to the server that its cookie names, and to
// another one when that is gone. Servers are given ports at the start and may run or not.

import { createServer } from 'node:net';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Server } from './server.mjs';
import { within } from './wait.mjs';

/** Ports that were free a moment ago, all different. */
export async function freePorts(count) {
  const listeners = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await within(Promise.all(listeners.map((listener) => once(listener, 'listening'))), 'free ports');
  const ports = listeners.map((listener) => listener.address().port);
  await Promise.all(listeners.map((listener) => once(listener.close(), 'close')));
  return ports;
}

/** Starts one before these ports; what it gives has an `url` and must be killed. */
export async function startFront(ports) {
  const folder = mkdtempSync(path.join(tmpdir(), 'signalr-front-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const [port] = await freePorts(1);
  const file = path.join(folder, 'haproxy.cfg');
  writeFileSync(file, configuration(port, ports));
  // haproxy has no line of its own to say that it is ready; clients come again until it is.
  const script = `haproxy -c -q -f "$0" && echo checked && exec haproxy -db -f "$0"`;
  const front = await Server.start('sh', ['-c', script, file], /^(checked)$/);
  front.port = port;
  return front;
}

const configuration = (port, ports) => `
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
  retries 10
  option redispatch 1
  retry-on conn-failure empty-response
frontend front
  bind 127.0.0.1:${port}
  default_backend servers
backend servers
  balance leastconn
  cookie SERVER insert indirect nocache
  default-server check inter 200ms rise 1 fall 1
${ports.map((at, n) => `  server s${n} 127.0.0.1:${at} cookie s${n}`).join('\n')}
`;
