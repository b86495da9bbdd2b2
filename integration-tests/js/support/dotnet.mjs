// The .NET client as a process, behind as much of the JavaScript client's interface as the fleet's tests use. It is the only
// stock client here that reads LZ4.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { DOTNET_BIN } from './fleet.mjs';
import { deferred, within } from './wait.mjs';

/** One process that holds any number of connections. */
export class DotnetClient {
  #child = spawn(DOTNET_BIN, ['client'], { stdio: ['pipe', 'pipe', 'inherit'] });
  #replies = new Map();
  #handlers = new Map();
  #count = 0;

  constructor(test) {
    this.#child.once('error', ({ message }) => this.#fail(`${DOTNET_BIN} does not start: ${message}`));
    this.#child.once('exit', () => this.#fail('The .NET client has ended.'));
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#take(JSON.parse(line)));
    test.after(() => this.#child.kill('SIGKILL'));
  }

  /** Opens a connection over WebSockets, with LZ4 if that protocol has it. */
  async connect(url, protocol) {
    const conn = `c${this.#count += 1}`;
    const { connectionId } = await this.ask('connect', { conn, url, transport: 'ws', protocol, lz4: protocol === 'messagepack' });
    return {
      connectionId,
      on: (method, handler) => this.#listen(conn, method, handler),
      invoke: (method, ...args) => this.ask('invoke', { conn, method, args }),
      stop: () => this.ask('stop', { conn }),
    };
  }

  /** The number of the next request: a stream is known by that of its own. */
  following() {
    return this.#count + 1;
  }

  /** A request and its reply; an error reply is an error. */
  ask(op, fields) {
    const id = this.#count += 1;
    const reply = deferred();
    this.#replies.set(id, reply);
    this.#child.stdin.write(`${JSON.stringify({ op, id, ...fields })}\n`);
    return within(reply.promise, `the .NET client's ${op}`);
  }

  #listen(conn, method, handler) {
    this.#handlers.set(`${conn} ${method}`, handler);
    return this.ask('on', { conn, method, argc: 1 });
  }

  #take(line) {
    if (line.event === 'message') {
      this.#handlers.get(`${line.conn} ${line.method}`)?.(...line.args);
    }
    if (line.event !== undefined) {
      this.onevent?.(line);
    } else {
      const reply = this.#replies.get(line.id);
      this.#replies.delete(line.id);
      if (line.ok) reply?.resolve(line.result);
      else reply?.reject(new Error(line.error.message));
    }
  }

  #fail(message) {
    for (const reply of this.#replies.values()) reply.reject(new Error(message));
  }
}
