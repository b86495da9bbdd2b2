// The cells of the matrix as the .NET client does them, driven by its script interface.

import assert from 'node:assert/strict';
import { DotnetClient } from '../support/dotnet.mjs';
import { deferred, within } from '../support/wait.mjs';

const RETRY_MS = Array.from({ length: 100 }, () => 100);
let shared;
let count = 0;

/** All cells share one process, as the parts of an application do. */
export function client() {
  shared ??= new Script();
  return shared;
}

/** The client with its events, by connection or stream. */
class Script extends DotnetClient {
  #events = new Map();

  constructor() {
    let end;
    super({ after: (act) => { end = act; } });
    this.end = end;
    this.onevent = (line) => {
      const key = line.stream ?? line.conn;
      this.#events.get(`${line.event} ${key}`)?.(line);
    };
  }

  /** Resolves with the next event of a kind. */
  next(event, key) {
    const met = deferred();
    this.#events.set(`${event} ${key}`, met.resolve);
    return within(met.promise, `${event} of ${key}`);
  }

  each(event, key, act) {
    this.#events.set(`${event} ${key}`, act);
  }

  async open(link, base, path = '/scale', options = {}) {
    const conn = `m${count += 1}`;
    await this.ask('connect', {
      conn, url: base + path, transport: link.transport, protocol: link.protocol, skipNegotiation: link.skipNegotiation ?? false, ...options,
    });
    return conn;
  }

  async with(link, base, body, path, options) {
    const conn = await this.open(link, base, path, options);
    try {
      return await body(conn);
    } finally {
      await this.ask('stop', { conn });
    }
  }

  invoke(conn, method, ...args) {
    return this.ask('invoke', { conn, method, args });
  }

  /** The first payload that arrives for a method; listening begins before this resolves. */
  async heard(conn, method) {
    await this.ask('on', { conn, method, argc: 1 });
    const message = deferred();
    this.each('message', conn, ({ method: name, args }) => { if (name === method) message.resolve(args[0]); });
    return { arrives: () => within(message.promise, method) };
  }

  /** Starts a stream; `items` grow, `ended` resolves with 'complete' or the error. */
  stream(op, fields) {
    const items = [];
    const end = deferred();
    const id = this.following();
    this.each('item', id, ({ value }) => items.push(value));
    this.each('complete', id, () => end.resolve('complete'));
    this.each('error', id, ({ error }) => end.resolve(error.message ?? error));
    const begun = this.ask(op, fields);
    return { id, items, begun, ended: () => within(end.promise, 'the end of a stream') };
  }
}

/** The cells of one link. */
export function cellsOf(link, base) {
  const dotnet = client();
  const unique = `dotnet ${link.transport} ${link.protocol} ${Math.random()}`;
  const connected = (body, path, options) => dotnet.with(link, base, body, path, options);
  let returning;
  return {
    invoke: () => connected(async (conn) => {
      assert.equal(await dotnet.invoke(conn, 'Echo', 'grüße 😀'), 'grüße 😀');
    }),
    send: () => connected(async (conn) => {
      const answer = await dotnet.heard(conn, 'Hear');
      await dotnet.ask('send', { conn, method: 'SendCaller', args: ['Hear', 'sent'] });
      assert.equal(await answer.arrives(), 'sent');
    }),
    receive: () => connected(async (conn) => {
      const answer = await dotnet.heard(conn, unique);
      await dotnet.invoke(conn, 'SendAll', unique, 'to all');
      assert.equal(await answer.arrives(), 'to all');
    }),
    errors: () => connected(async (conn) => {
      await assert.rejects(dotnet.invoke(conn, 'Throw', 'hub', 'no!'),
        { message: "An unexpected error occurred invoking 'Throw' on the server. HubException: no!" });
      await assert.rejects(dotnet.invoke(conn, 'Nothing'),
        { message: "Failed to invoke 'Nothing' due to an error on the server. HubException: Method does not exist." });
      const stream = dotnet.stream('stream', { conn, method: 'CounterThrow', args: [2, 'hub', 'enough'] });
      assert.match(await stream.ended(), /An error occurred on the server while streaming results\. HubException: enough/);
    }),
    'server stream': () => connected(async (conn) => {
      const stream = dotnet.stream('stream', { conn, method: 'Counter', args: [20, 1] });
      assert.equal(await stream.ended(), 'complete');
      assert.deepEqual(stream.items, Array.from({ length: 20 }, (_, i) => i));
      const endless = dotnet.stream('stream', { conn, method: 'Counter', args: [1_000_000, 1] });
      await endless.begun;
      await dotnet.ask('cancel', { stream: endless.id });
      await endless.ended();
      assert.equal(await dotnet.invoke(conn, 'Echo', 'after'), 'after');
    }),
    'client stream': () => connected(async (conn) => {
      const numbers = Array.from({ length: 20 }, (_, i) => i + 1);
      assert.equal(await dotnet.ask('upload', { conn, method: 'Sum', args: [], streams: [numbers], as: 'invoke' }), 210);
      const relay = dotnet.stream('upload', { conn, method: 'Relay', args: [], streams: [[0, 1, 2, 3, 4]], as: 'stream' });
      assert.equal(await relay.ended(), 'complete');
      assert.deepEqual(relay.items, [0, 1, 2, 3, 4]);
    }),
    'client result': () => connected(async (conn) => {
      await dotnet.ask('respond', { conn, method: 'Ask', argc: 1, result: 42 });
      const id = await dotnet.invoke(conn, 'GetConnectionId');
      assert.equal(await dotnet.invoke(conn, 'AskClient', id, 'Ask', 'the question'), 42);
    }),
    group: () => connected((member) => connected(async (outsider) => {
      const answer = await dotnet.heard(member, 'Hear');
      const nothing = await dotnet.heard(outsider, 'Hear');
      await dotnet.invoke(member, 'Join', unique);
      await dotnet.invoke(outsider, 'SendGroup', unique, 'Hear', 'to the group');
      assert.equal(await answer.arrives(), 'to the group');
      await dotnet.invoke(outsider, 'SendCaller', 'Hear', 'only now');
      assert.equal(await nothing.arrives(), 'only now');
    })),
    user: () => connected((mine) => connected(async (other) => {
      assert.equal(await dotnet.invoke(mine, 'GetUserIdentifier'), unique);
      const answer = await dotnet.heard(mine, 'Hear');
      await dotnet.invoke(other, 'SendUser', unique, 'Hear', 'to the user');
      assert.equal(await answer.arrives(), 'to the user');
    }), `/scale?user=${encodeURIComponent(unique)}`),
    auth: async () => {
      await assert.rejects(dotnet.open(link, base, '/authorizedhub'), /401/);
      const accessToken = await (await fetch(`${base}/generateJwtToken/ann`)).text();
      await connected(async (conn) => assert.equal(await dotnet.invoke(conn, 'Echo', 'hello'), 'hello'), '/authorizedhub', { accessToken });
    },
    close: async () => {
      const mine = await dotnet.open(link, base);
      const ended = dotnet.next('closed', mine);
      await dotnet.ask('stop', { conn: mine });
      assert.equal((await ended).error ?? null, null);
      const theirs = await dotnet.open(link, base);
      const aborted = dotnet.next('closed', theirs);
      await dotnet.ask('send', { conn: theirs, method: 'Abort', args: [] });
      await aborted;
      assert.match(String(await dotnet.ask('state', { conn: theirs })), /Disconnected/i);
    },
    leave: async () => {
      const conn = await dotnet.open(link, base, '/scale', { autoReconnect: RETRY_MS });
      const away = dotnet.next('reconnecting', conn);
      const back = dotnet.next('reconnected', conn);
      returning = { conn, away, back, first: await dotnet.invoke(conn, 'GetConnectionId') };
    },
    reconnect: async () => {
      const { conn, away, back, first } = returning;
      await away;
      await back;
      assert.notEqual(await dotnet.invoke(conn, 'GetConnectionId'), first);
      await dotnet.ask('stop', { conn });
    },
  };
}
