// The features that every client is asked for, written once for Node, a page and a web worker: plain script without imports,
// which is handed the client library and gives back functions.

/** Features in the order of the table. `reconnect` needs a server that goes and comes back, so it has two halves. */
export const FEATURES = [
  'invoke', 'send', 'receive', 'errors', 'server stream', 'client stream', 'client result', 'group', 'user', 'auth',
  'reconnect', 'close',
];

/**
 * The cells of one link.
 * @param lib `{ signalR, MessagePackHubProtocol }`
 * @param link `{ transport, protocol, skipNegotiation }`: names, as in the table
 * @param base the server's address
 */
export function cellsOf(lib, link, base) {
  const { signalR } = lib;
  const TRANSPORTS = { ws: 'WebSockets', sse: 'ServerSentEvents', lp: 'LongPolling' };
  const LIMIT_MS = 30_000;
  const unique = `${link.transport} ${link.protocol} ${Math.random()}`;

  const build = (path, options = {}) => {
    const { reconnect, ...rest } = options;
    const builder = new signalR.HubConnectionBuilder()
      .withUrl(base + path, {
        transport: signalR.HttpTransportType[TRANSPORTS[link.transport]],
        skipNegotiation: link.skipNegotiation,
        ...rest,
      })
      .withHubProtocol(link.protocol === 'json' ? new signalR.JsonHubProtocol() : new lib.MessagePackHubProtocol())
      .configureLogging(signalR.LogLevel.None);
    if (reconnect) builder.withAutomaticReconnect({ nextRetryDelayInMilliseconds: () => 100 });
    return builder.build();
  };

  /** Runs `body` with a connection that is stopped afterwards. */
  const connected = async (body, path = '/scale', options = {}) => {
    const connection = build(path, options);
    await within(connection.start(), 'a connection');
    try {
      return await body(connection);
    } finally {
      await connection.stop();
    }
  };

  const within = (promise, what) => {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`Waited ${LIMIT_MS} ms in vain for ${what}`)), LIMIT_MS);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
  };

  const equal = (actual, expected, what) => {
    const [left, right] = [actual, expected].map((value) => JSON.stringify(value));
    if (left !== right) throw new Error(`${what}: ${left} instead of ${right}`);
  };

  const heard = (connection, method) => within(new Promise((resolve) => { connection.on(method, resolve); }), method);

  const refusal = async (promise) => {
    try {
      await within(promise, 'a refusal');
    } catch (error) {
      return error.message;
    }
    throw new Error('It was expected to fail, and it succeeded.');
  };

  const items = (stream) => within(new Promise((resolve, reject) => {
    const all = [];
    stream.subscribe({ next: (item) => all.push(item), complete: () => resolve(all), error: reject });
  }), 'the end of a stream');

  let returning;

  return {
    invoke: () => connected(async (connection) => {
      const value = { text: 'grüße 😀', number: 5, list: [true, null] };
      equal(await within(connection.invoke('Echo', value), 'the answer'), value, 'Echo');
    }),
    send: () => connected(async (connection) => {
      const answer = heard(connection, 'Hear');
      await connection.send('SendCaller', 'Hear', 'sent');
      equal(await answer, 'sent', 'what the call made the server say');
    }),
    receive: () => connected(async (connection) => {
      const first = heard(connection, unique);
      await connection.invoke('SendAll', unique, 'to all');
      equal(await first, 'to all', 'a send to all');
    }),
    errors: () => connected(async (connection) => {
      equal(await refusal(connection.invoke('Throw', 'hub', 'no!')),
        "An unexpected error occurred invoking 'Throw' on the server. HubException: no!", 'a hub error');
      equal(await refusal(connection.invoke('Nothing')),
        "Failed to invoke 'Nothing' due to an error on the server. HubException: Method does not exist.", 'an unknown method');
      equal(await refusal(items(connection.stream('CounterThrow', 2, 'hub', 'enough'))),
        'An error occurred on the server while streaming results. HubException: enough', 'a stream that fails');
    }),
    'server stream': () => connected(async (connection) => {
      equal(await items(connection.stream('Counter', 20, 1)), Array.from({ length: 20 }, (_, i) => i), 'items');
      const stream = connection.stream('Counter', 1_000_000, 1);
      const third = within(new Promise((resolve) => {
        let count = 0;
        const subscription = stream.subscribe({
          next: () => {
            count += 1;
            if (count === 3) resolve(subscription);
          },
          complete: () => {},
          error: () => {},
        });
      }), 'three items');
      (await third).dispose();
      equal(await within(connection.invoke('Echo', 'after'), 'a call'), 'after', 'a call after a cancelled stream');
    }),
    'client stream': () => connected(async (connection) => {
      const numbers = new signalR.Subject();
      const sum = connection.invoke('Sum', numbers);
      for (let i = 1; i <= 20; i += 1) numbers.next(i);
      numbers.complete();
      equal(await within(sum, 'the sum'), 210, 'Sum');
      const both = new signalR.Subject();
      const back = items(connection.stream('Relay', both));
      for (let i = 0; i < 5; i += 1) both.next(i);
      both.complete();
      equal(await back, [0, 1, 2, 3, 4], 'Relay');
    }),
    'client result': () => connected(async (connection) => {
      connection.on('Twice', (text) => Number(text) * 2);
      const id = await connection.invoke('GetConnectionId');
      equal(await within(connection.invoke('AskClient', id, 'Twice', '21'), 'the result'), 42, 'AskClient');
    }),
    group: () => connected((member) => connected(async (outsider) => {
      const answer = heard(member, 'Hear');
      outsider.on('Hear', () => { outsider.heardIt = true; });
      await member.invoke('Join', unique);
      await outsider.invoke('SendGroup', unique, 'Hear', 'to the group');
      equal(await answer, 'to the group', 'a send to the group');
      await outsider.invoke('Echo', 'a round trip');
      equal(outsider.heardIt ?? false, false, 'whoever is not in the group hears nothing');
    })),
    user: () => connected((mine) => connected(async (other) => {
      equal(await mine.invoke('GetUserIdentifier'), unique, 'the user identifier');
      const answer = heard(mine, 'Hear');
      await other.invoke('SendUser', unique, 'Hear', 'to the user');
      equal(await answer, 'to the user', 'a send to the user');
    }), `/scale?user=${encodeURIComponent(unique)}`),
    auth: async () => {
      const stranger = await refusal(build('/authorizedhub').start());
      // A WebSocket that was not negotiated fails without a status that scripts may see.
      if (!link.skipNegotiation && !/401/.test(stranger)) throw new Error(`a stranger got: ${stranger}`);
      const accessTokenFactory = async () => (await fetch(`${base}/generateJwtToken/ann`)).text();
      await connected(async (connection) => {
        equal(await connection.invoke('Echo', 'hello'), 'hello', 'a known user');
      }, '/authorizedhub', { accessTokenFactory });
    },
    close: async () => {
      const mine = build('/scale');
      const ended = within(new Promise((resolve) => { mine.onclose(resolve); }), 'the end');
      await mine.start();
      await mine.stop();
      equal([await ended, mine.state], [undefined, 'Disconnected'], 'a stop of our own');
      const theirs = build('/scale', { reconnect: true });
      const aborted = within(new Promise((resolve) => { theirs.onclose(resolve); }), "the server's end");
      await theirs.start();
      await theirs.send('Abort');
      await aborted;
      equal(theirs.state, 'Disconnected', 'a connection that the server ended');
    },
    /** First half of `reconnect`: resolves when connected. */
    leave: async () => {
      const connection = build('/scale', { reconnect: true });
      const away = within(new Promise((resolve) => { connection.onreconnecting(resolve); }), 'the loss');
      const back = new Promise((resolve, reject) => {
        connection.onreconnected(resolve);
        connection.onclose((error) => reject(error ?? new Error('closed for good')));
      });
      back.catch(() => {});
      await within(connection.start(), 'a connection');
      const first = await connection.invoke('GetConnectionId');
      returning = { connection, away, back, first };
    },
    /** Second half, once the server has gone and come back. */
    reconnect: async () => {
      const { connection, away, back, first } = returning;
      await away;
      await within(back, 'the new connection');
      const second = await within(connection.invoke('GetConnectionId'), 'a call');
      if (second === first) throw new Error('the connection id is still the old one');
      await connection.stop();
    },
  };
}
