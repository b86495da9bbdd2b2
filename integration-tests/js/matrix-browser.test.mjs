// The client matrix: the official JavaScript client in headless Chromium, in a page and in a web worker.

import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { launch } from './support/browser.mjs';
import { startSecurePeer } from './support/server.mjs';
import { matrix } from './matrix/run.mjs';

const read = (path) => readFileSync(new URL(path, import.meta.url), 'utf8');
const LIBRARIES = ['signalr/dist/browser/signalr.js', 'signalr-protocol-msgpack/dist/browser/signalr-protocol-msgpack.js']
  .map((file) => read(`node_modules/@microsoft/${file}`));
const CELLS = read('matrix/cells.mjs').replaceAll(/^export /gm, '');
/** Everything that a script needs: the libraries, the cells, and one table of them by the name of their link. */
const SCRIPT = [...LIBRARIES, CELLS, `
  const opened = new Map();
  globalThis.openCells = (name, link, base) => {
    const lib = { signalR, MessagePackHubProtocol: signalR.protocols.msgpack.MessagePackHubProtocol };
    opened.set(name, cellsOf(lib, link, base));
  };
  globalThis.runCell = (name, cell) => opened.get(name)[cell]();
`].join('\n');
/** A worker's half of the conversation: a request at a time, by number. */
const WORKER = `${SCRIPT}
  onmessage = async ({ data: { number, call, args } }) => {
    try {
      await globalThis[call](...args);
      postMessage({ number });
    } catch (error) {
      postMessage({ number, error: error?.message ?? String(error) });
    }
  };
`;

/** A browser opens six HTTP connections to one host; a cell has two clients, and each may hold one and need a second. */
const CONCURRENCY = 1;

let browser;
after(async () => (await browser)?.close());

/** A page of the server's own origin, with nothing on it. */
async function page(base) {
  browser ??= launch();
  const opened = await (await browser).newPage();
  await opened.goto(`${base}/deployment`);
  return opened;
}

const pages = new Map();
const inPage = async (base) => {
  const opened = await page(base);
  await opened.addScriptTag({ content: SCRIPT });
  return (call, ...args) => opened.evaluate(([name, given]) => globalThis[name](...given), [call, args]);
};

const inWorker = async (base) => {
  const opened = await page(base);
  await opened.evaluate((script) => {
    const worker = new Worker(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })));
    const waiting = new Map();
    let count = 0;
    worker.onmessage = ({ data: { number, error } }) => {
      const { resolve, reject } = waiting.get(number);
      waiting.delete(number);
      if (error === undefined) resolve();
      else reject(new Error(error));
    };
    worker.onerror = ({ message }) => waiting.forEach(({ reject }) => reject(new Error(message)));
    globalThis.ask = (call, args) => new Promise((resolve, reject) => {
      count += 1;
      waiting.set(count, { resolve, reject });
      worker.postMessage({ number: count, call, args });
    });
  }, WORKER);
  return (call, ...args) => opened.evaluate(([name, given]) => globalThis.ask(name, given), [call, args]);
};

/** All links of a client share one page, as the parts of an application do. */
function links(client, open) {
  matrix(client, async (link, base) => {
    if (!pages.has(client)) pages.set(client, open(base));
    const ask = await pages.get(client);
    const name = JSON.stringify(link);
    await ask('openCells', name, link, base);
    return (cell) => ask('runCell', name, cell);
  }, CONCURRENCY);
}

links('JavaScript in a page', inPage);
links('JavaScript in a web worker', inWorker);

test('over TLS a page speaks HTTP/2, and its WebSocket runs over that too', async (t) => {
  const server = await startSecurePeer();
  t.after(() => server.kill());
  browser ??= launch();
  const opened = await (await browser).newPage({ ignoreHTTPSErrors: true });
  await opened.goto(`${server.secureUrl}/deployment`);
  await opened.addScriptTag({ content: SCRIPT });
  const protocol = await opened.evaluate(async (base) => {
    const connection = new signalR.HubConnectionBuilder()
      .withUrl(`${base}/default`, { transport: signalR.HttpTransportType.WebSockets }).configureLogging(signalR.LogLevel.None).build();
    await connection.start();
    const answer = await connection.invoke('GetHttpProtocol');
    await connection.stop();
    return answer;
  }, server.secureUrl);
  assert.equal(protocol, 'HTTP/2');
});
