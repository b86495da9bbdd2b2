// A client of one server keeps everything that another server sends while its socket is cut: what comes through Redis is
// counted, kept and sent again like everything else.

import { after, before, test } from 'node:test';
import { eachProtocol } from '../support/client.mjs';
import { ours, startFleet } from '../support/fleet.mjs';
import { cutInTraffic } from '../support/stateful.mjs';

let servers;
before(async () => { servers = await startFleet(ours(2), ['--stateful', '--parallel', '4']); });
after(() => servers?.end());

eachProtocol(test, 'nothing of another server is lost, doubled or out of order while the socket is cut', (t, protocol) => {
  const [home, away] = servers.nodes;
  return cutInTraffic(t, protocol, Number(new URL(home.url).port), away.url);
});
