// Everything over TLS: negotiate, each transport, and calls both ways.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { startSecurePeer } from './support/server.mjs';
import { connect, eachLink, inbox } from './support/client.mjs';

// The server's certificate is its own; this process trusts it, and whatever else it would meet.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

let server;
before(async () => { server = await startSecurePeer(); });
after(() => server?.kill());

eachLink(test, 'calls and messages travel over TLS', async (t, protocol) => {
  const connection = await connect(t, `${server.secureUrl}/scale`, protocol);
  const heard = inbox(connection, 'Hear');
  assert.equal(await connection.invoke('Echo', 'hello'), 'hello');
  const large = 'x'.repeat(30_000);
  await connection.invoke('SendCaller', 'Hear', large);
  assert.deepEqual(await heard.take(1), [large]);
});
