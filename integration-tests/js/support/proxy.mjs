// A reverse proxy of one server, set up as people do who know nothing of SignalR: it buffers, it compresses, and it
// gives up on what is silent for three seconds.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePorts } from './front.mjs';
import { Server } from './server.mjs';

const SILENCE = 3;
const TYPES = 'text/event-stream application/octet-stream text/plain application/json';

/** Those that there are. `start(port)` gives a server with an `url`, which must be killed. */
export const PROXIES = [
  { name: 'nginx', start: (port) => start(port, 'nginx.conf', nginx, 'nginx -t -q -c "$0" && echo checked && exec nginx -c "$0"') },
  { name: 'haproxy', start: (port) => start(port, 'haproxy.cfg', haproxy, 'haproxy -c -q -f "$0" && echo checked && exec haproxy -db -f "$0"') },
];

async function start(server, name, configuration, script) {
  const folder = mkdtempSync(path.join(tmpdir(), 'signalr-proxy-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const [port] = await freePorts(1);
  const file = path.join(folder, name);
  writeFileSync(file, configuration(port, server, folder));
  // Neither has a line of its own to say that it listens: clients come again until it does.
  const proxy = await Server.start('sh', ['-c', script, file], /^(checked)$/);
  proxy.port = port;
  return proxy;
}

const nginx = (port, server, folder) => `
daemon off;
master_process off;
pid ${folder}/pid;
error_log ${folder}/error.log;
events {}
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  gzip on;
  gzip_proxied any;
  gzip_types ${TYPES};
  proxy_buffering on;
  proxy_buffers 8 64k;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://127.0.0.1:${server};
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_read_timeout ${SILENCE}s;
    }
  }
}
`;

const haproxy = (port, server) => `
defaults
  mode http
  timeout connect 2s
  timeout client ${SILENCE}s
  timeout server ${SILENCE}s
  timeout tunnel ${SILENCE}s
  option http-buffer-request
  compression algo gzip
  compression type ${TYPES}
listen front
  bind 127.0.0.1:${port}
  server only 127.0.0.1:${server}
`;
