// A TCP relay before one server whose connections can be reset in the middle of traffic.

import { connect, createServer } from 'node:net';
import { once } from 'node:events';

export class Cutter {
  #pairs = new Set();
  #listener;
  /** Whether new connections are reset as well. */
  refuse = false;

  /** Listens on a free port and leads to `target`, a port of this machine. */
  static async start(target) {
    const cutter = new Cutter();
    cutter.#listener = createServer((near) => cutter.#join(near, target)).listen(0, '127.0.0.1');
    await once(cutter.#listener, 'listening');
    return cutter;
  }

  get url() {
    return `http://127.0.0.1:${this.#listener.address().port}`;
  }

  /** Resets every connection; whatever was under way is lost. New ones pass. Gives how many there were. */
  cut() {
    const pairs = [...this.#pairs];
    pairs.flat().forEach(reset);
    return pairs.length;
  }

  end() {
    this.#listener.close();
    this.cut();
  }

  #join(near, target) {
    if (this.refuse) {
      near.resetAndDestroy();
      return;
    }
    const far = connect(target, '127.0.0.1');
    const pair = [near, far];
    this.#pairs.add(pair);
    for (const socket of pair) {
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#pairs.delete(pair);
        pair.forEach((other) => other.destroy());
      });
    }
    near.pipe(far);
    far.pipe(near);
  }
}

/** A reset, unless its end was said already: a reset in the middle of that leaves Node waiting for it for ever when it exits. */
function reset(socket) {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
