// Users: tokens that are missing, good, bad, expiring and rotated, on every transport; and no token in a log.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { PEER_BIN, startPeer } from './support/server.mjs';
import { LINKS, build, closed, connect, eachLink, failure } from './support/client.mjs';
import { remember } from './support/secrets.mjs';
import { poll, within } from './support/wait.mjs';

const RETRY = { nextRetryDelayInMilliseconds: () => 100 };

let server;
let strict;
before(async () => {
  const short = ['--close-on-auth-expiry', '--token-life-ms', '2000'];
  [server, strict] = await Promise.all([startPeer(), startPeer(short)]);
});
after(() => Promise.all([server?.kill(), strict?.kill()]));

async function token(at, name) {
  const answer = await fetch(`${at.url}/generateJwtToken/${name}`);
  return remember(await answer.text());
}

eachLink(test, 'a hub for known users refuses strangers', async (t, protocol) => {
  for (const url of [`${server.url}/authorizedhub`, `${server.url}/authorizedhub2`]) {
    assert.match(await failure(build(t, url, protocol).start()), /401/);
    const bad = build(t, url, protocol, { accessTokenFactory: () => remember('no.good.token-at-all') });
    assert.match(await failure(bad.start()), /401/);
    const good = await connect(t, url, protocol, { accessTokenFactory: () => token(server, 'ann') });
    assert.equal(await good.invoke('Echo', 'hello'), 'hello');
  }
});

eachLink(test, 'the token says who the user is', async (t, protocol) => {
  const ann = await connect(t, `${server.url}/scale`, protocol, { accessTokenFactory: () => token(server, 'ann') });
  assert.equal(await ann.invoke('GetUserIdentifier'), 'ann');
  const nobody = await connect(t, `${server.url}/scale`, protocol);
  assert.equal(await nobody.invoke('GetUserIdentifier'), null);
});

// Each of these waits for the end of a token: side by side.
describe('the end of a token', { concurrency: true }, () => {
  eachLink(test, 'a token that runs out ends the connection without an error', async (t, protocol) => {
    // One token for good: a poll brings no newer one.
    const ann = await token(strict, 'ann');
    const connection = build(t, `${strict.url}/scale`, protocol, { accessTokenFactory: () => ann });
    const end = closed(connection);
    await within(connection.start(), 'a connection');
    assert.equal(await connection.invoke('GetUserIdentifier'), 'ann');
    assert.equal(await end(), undefined);
  });

  eachLink(test, 'a client with a rotated token comes back as the same user', async (t, protocol) => {
    // A new token for each connection, as a client that fetches one when it connects has it.
    let current;
    const connection = build(t, `${strict.url}/scale`, protocol, {
      accessTokenFactory: () => current,
      reconnect: RETRY,
    });
    current = await token(strict, 'ann');
    connection.onreconnecting(async () => { current = await token(strict, 'ann'); });
    let back = 0;
    connection.onreconnected(() => { back += 1; });
    await within(connection.start(), 'a connection');
    const first = connection.connectionId;
    await poll(() => back > 0, 'the client to come back');
    assert.notEqual(connection.connectionId, first);
    assert.equal(await connection.invoke('GetUserIdentifier'), 'ann');
  });
});

// Which words a log has is seen for our own server only: the reference logs nothing here.
test('what is logged names connections, so a token would be seen', { skip: path.basename(PEER_BIN) !== 'peer' }, async (t) => {
  const connection = await connect(t, `${server.url}/scale`, LINKS[0]);
  await failure(connection.invoke('Throw', 'hub', 'for the log'));
  await poll(() => server.stderr.words.has(connection.connectionId), 'the connection to be logged');
});
