// Clients that come, join rooms, talk, are asked, and go, at every server of a fleet, until they are told to stop.
//
// Each round of one client is complete in itself: whoever has joined a room hears what another server says there, and a
// question from a third server gets its answer. Rounds that an outage has touched may fail.

import { randomBytes } from 'node:crypto';
import assert from 'node:assert/strict';
import { PROTOCOLS, connect } from './client.mjs';
import { REFERENCE_IS_LOST } from './fleet.mjs';
import { deferred, within } from './wait.mjs';

const ROOMS = 20;
/** Longer than a Redis of anybody is away, and than a question waits for its answer. */
const ROUND_MS = 60_000;

export class Crowd {
  #nodes;
  #helpers;
  #over = false;
  #loops = [];
  #excuse = deferred();
  #inOutage = false;

  /**
   * @param nodes the servers; `isOurs` tells which are not the reference's
   * @param helpers a connection to each of them that lasts
   */
  constructor(nodes, helpers) {
    this.#nodes = nodes;
    this.#helpers = helpers;
    this.rounds = 0;
    this.excused = 0;
  }

  /** So many clients at every server. */
  start(perNode) {
    this.#nodes.forEach((_, n) => {
      for (let i = 0; i < perNode; i += 1) this.#loops.push(this.#loop(n, i));
    });
  }

  /** Rounds that are under way, and those that begin before `calm`, may fail. */
  trouble() {
    this.#inOutage = true;
  }

  /** All is well again; who still waits for something that was lost need not wait longer. */
  calm() {
    this.#inOutage = false;
    this.#excuse.resolve();
    this.#excuse = deferred();
  }

  /** As few as possible from now on. */
  abandon() {
    this.#over = true;
    this.calm();
  }

  /** Resolves when the last of them has gone. Fails if a round has failed that should not. */
  async stop() {
    this.#over = true;
    await Promise.all(this.#loops);
  }

  async #loop(n, i) {
    for (let turn = i; !this.#over; turn += 1) {
      const excuse = this.#excuse.promise;
      let excused = this.#inOutage;
      excuse.then(() => { excused = true; });
      const left = [];
      const test = { after: (leave) => left.push(leave) };
      try {
        const ended = await within(Promise.race([this.#round(test, n, turn).then(() => true), excuse]), 'a round', ROUND_MS);
        if (ended) this.rounds += 1;
        else this.excused += 1;
      } catch (error) {
        if (!excused && !this.#inOutage) throw new Error(`a client of server ${n}: ${error.message}`, { cause: error });
        this.excused += 1;
        // A server that cannot join anybody refuses at once; this is not the place to hurry.
        await new Promise((resolve) => { setTimeout(resolve, 50); });
      } finally {
        await Promise.all(left.map((leave) => leave()));
      }
    }
  }

  async #round(test, n, turn) {
    const [second, third] = [1, 2].map((step) => (n + step) % this.#helpers.length);
    const connection = await connect(test, `${this.#nodes[n].url}/scale`, PROTOCOLS[turn % 2]);
    const word = randomBytes(8).toString('hex');
    const heard = deferred();
    connection.on('room', (text) => { if (text === word) heard.resolve(); });
    // The talk of the others is none of its business.
    for (const topic of ['all', 'group']) connection.on(topic, () => {});
    connection.on('ask', (text) => text.length);
    const room = `room ${turn % ROOMS}`;
    await connection.invoke('Join', room);
    await this.#helpers[second].invoke('SendGroup', room, 'room', word);
    await heard.promise;
    // In a Cluster the reference finds nobody, and is not found where it goes on listening to a node that was demoted.
    if (!REFERENCE_IS_LOST || [n, third].every((at) => this.#nodes[at].isOurs)) {
      const answer = await this.#helpers[third].invoke('AskClient', connection.connectionId, 'ask', word);
      assert.equal(answer, word.length);
    }
    // The others leave without a word.
    if (turn % 2 === 0) await connection.invoke('Leave', room);
  }
}
