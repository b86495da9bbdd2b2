// Starts servers as child processes and ends exactly those. A server is ready when it prints its address.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { LogWords } from './secrets.mjs';
import { deferred, within } from './wait.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const TARGET = path.resolve(process.env.CARGO_TARGET_DIR || path.join(HERE, '../../../target'), 'debug');
const STDERR_KEPT = 16_384;

export const PEER_BIN = binary('SIGNALR_PEER_BIN', 'peer');
export const CHAT_BIN = binary('SIGNALR_CHAT_BIN', 'chat');

const running = new Set();
process.on('exit', () => running.forEach((server) => server.child.kill('SIGKILL')));

/**
 * The test hubs: our own peer, or the reference, whichever SIGNALR_PEER_BIN names. `port` 0 is any free one. Ours logs
 * everything, and fails its test when a token was among it.
 */
export function startPeer(flags = [], port = 0) {
  const isOurs = path.basename(PEER_BIN) === 'peer';
  return startProgram(PEER_BIN, isOurs ? ['--log-level', 'trace', ...flags] : flags, port);
}

/** Any program that takes the peer's flags and prints its address in the peer's way. */
export function startProgram(program, flags = [], port = 0) {
  const args = ['serve', '--urls', `http://127.0.0.1:${port}`, ...flags];
  return Server.start(program, args, /^Now listening on: http:\/\/127\.0\.0\.1:(\d+)$/);
}

/** The test hubs over TLS, with a certificate of their own making; `secureUrl` is its address. */
export async function startSecurePeer() {
  const server = await Server.start(PEER_BIN, ['serve', '--urls', 'https://127.0.0.1:0'], /^Now listening on: https:\/\/127\.0\.0\.1:(\d+)$/);
  server.secureUrl = `https://127.0.0.1:${server.port}`;
  return server;
}

/** The chat example. `flags` are its own, such as `--redis URL`. */
export function startChat(port = 0, flags = []) {
  return Server.start(CHAT_BIN, ['--port', String(port), ...flags], /^Chat is ready: http:\/\/127\.0\.0\.1:(\d+)$/);
}

/** A Redis without persistence on `port`, 0 for one that was free a moment ago. */
export async function startRedis(port = 0) {
  const chosen = port || await freePort();
  const args = ['--port', String(chosen), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', tmpdir()];
  const redis = await Server.start('redis-server', args, /Ready to accept connections( )?/);
  redis.port = chosen;
  return redis;
}

async function freePort() {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address();
  listener.close();
  await once(listener, 'close');
  return port;
}

/** A child process that says when it is ready. */
export class Server {
  constructor(child, stderr) {
    this.child = child;
    this.stderr = stderr;
    this.port = 0;
  }

  static async start(command, args, ready) {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const server = new Server(child, keepTail(child.stderr));
    running.add(server);
    const started = deferred();
    child.once('error', ({ message }) => started.reject(new Error(`${command} does not start (is it built?): ${message}`)));
    child.once('exit', (code, signal) => {
      running.delete(server);
      started.reject(new Error(`${command} ended early (${code ?? signal}): ${server.stderr.text}`));
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      const match = ready.exec(line);
      if (match) started.resolve(Number(match[1]));
    });
    try {
      server.port = await within(started.promise, `${command} to print its address`);
    } catch (error) {
      await server.kill();
      throw error;
    }
    return server;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Cuts it off as a crash would. Does nothing when it has ended already. */
  kill() {
    return this.#end('SIGKILL');
  }

  /** Asks it to end, as a process manager does. Resolves with the exit code. */
  terminate() {
    return this.#end('SIGTERM');
  }

  async #end(signal) {
    const code = await this.#exit(signal);
    const leaks = this.stderr.words.leaks();
    if (leaks > 0) throw new Error(`The log of process ${this.child.pid} shows ${leaks} token(s).`);
    return code;
  }

  async #exit(signal) {
    const { child } = this;
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const ended = once(child, 'exit');
    child.kill(signal);
    const [code] = await within(ended, `process ${child.pid} to end after ${signal}`);
    return code;
  }
}

function binary(variable, name) {
  return path.resolve(process.env[variable] || path.join(TARGET, name));
}

function keepTail(stream) {
  const tail = { text: '', words: new LogWords() };
  stream.setEncoding('utf8').on('data', (text) => {
    tail.words.add(text);
    tail.text = (tail.text + text).slice(-STDERR_KEPT);
  });
  return tail;
}
