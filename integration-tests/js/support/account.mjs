// What was said and what arrived, for clients that come and go: nothing is lost, doubled or out of order between the moment
// from which a client is a member and the last moment for which that can be promised.
//
// A watcher on a server that stays gives the one order of everything in a topic. What a client heard between two
// connections must be a piece of that order without a hole. Where the piece must begin and end follows from what
// had been said when the client became a member, and what had been acknowledged when its server was told to end.

import assert from 'node:assert/strict';
import { poll, within } from './wait.mjs';

export const TOPICS = ['all', 'group'];
export const GROUP = 'everybody';
const PACE_MS = 40;
const PATIENCE_MS = 60_000;
/** How a connection ends that the server has closed with leave to reconnect. */
const CLOSED = 'closed';

/** Everything that this test says, by stream: one per speaker and topic. */
export class Talk {
  #speakers = [];
  #timer;
  #underWay = new Set();

  constructor() {
    this.said = Object.fromEntries(TOPICS.map((topic) => [topic, []]));
    this.acked = Object.fromEntries(TOPICS.map((topic) => [topic, []]));
    this.unsure = 0;
  }

  /** One more who talks, from now on. */
  add(speaker) {
    for (const topic of TOPICS) {
      this.said[topic].push(0);
      this.acked[topic].push(-1);
    }
    this.#speakers.push(speaker);
  }

  /** Begins to talk, on and on. Who is not connected is silent. */
  start() {
    this.#timer = setInterval(() => this.#speakers.forEach((speaker, s) => {
      if (speaker.state === 'Connected') TOPICS.forEach((topic) => this.#say(speaker, s, topic));
    }), PACE_MS);
  }

  /** Ends talking; resolves when everything that was said has an answer. */
  async stop() {
    clearInterval(this.#timer);
    await within(Promise.all(this.#underWay), 'answers to what was said');
  }

  /** Resolves when so many more were said by everybody, and acknowledged. */
  async more(count) {
    const { said } = this.marks();
    const reached = () => TOPICS.every((topic) => said[topic].every((next, s) => this.acked[topic][s] >= next + count));
    try {
      await poll(reached, `${count} more messages of everybody`, PATIENCE_MS);
    } catch (error) {
      throw new Error(`${error.message}; from ${JSON.stringify(said)} to ${JSON.stringify(this.marks())}`);
    }
  }

  /** How the connections of those who talk are. */
  states() {
    return this.#speakers.map(({ state }) => state);
  }

  /** A copy of the counts as they are now. */
  marks() {
    return structuredClone({ said: this.said, acked: this.acked });
  }

  #say(speaker, s, topic) {
    const number = this.said[topic][s];
    this.said[topic][s] += 1;
    const text = `${s} ${number}`;
    const sent = topic === 'all' ? speaker.invoke('SendAll', 'all', text) : speaker.invoke('SendGroup', GROUP, 'group', text);
    const answered = sent.then(
      () => { this.acked[topic][s] = Math.max(this.acked[topic][s], number); },
      // Its server ended meanwhile: it was sent, or it was not.
      () => { this.unsure += 1; },
    ).finally(() => this.#underWay.delete(answered));
    this.#underWay.add(answered);
  }
}

/** One client's memory: a list per topic and connection. `talk` gives the marks. */
export class Listener {
  constructor(name, connection, talk) {
    Object.assign(this, { name, connection, talk, terms: [], ready: false });
    this.#begin();
    for (const topic of TOPICS) connection.on(topic, (text) => this.term.heard[topic].push(text));
    connection.onreconnecting((error) => {
      this.term.end = error?.message ?? CLOSED;
      this.#begin();
    });
    connection.onreconnected(() => this.enter());
  }

  #begin() {
    this.ready = false;
    this.term = { heard: Object.fromEntries(TOPICS.map((topic) => [topic, []])), from: {} };
    this.terms.push(this.term);
  }

  /** Becomes a member, and notes from when on it is one. Fails silently when the connection does: there will be another. */
  async enter() {
    const { term, connection, talk } = this;
    try {
      term.server = await connection.invoke('GetServerName');
      term.from.all = talk.marks().said.all;
      await connection.invoke('Join', GROUP);
      term.from.group = talk.marks().said.group;
      this.ready = term === this.term;
    } catch {
      // The next connection enters by itself.
    }
  }

  /** Resolves when it is a member on some server, other than these. */
  settled(gone = []) {
    return poll(() => this.ready && !gone.includes(this.term.server), `${this.name} to be a member again`);
  }
}

/** The one order of a topic, as a watcher has heard it; every text is in it once. */
function order(heard) {
  const places = new Map();
  heard.forEach((text, place) => {
    assert.ok(!places.has(text), `${text} came twice`);
    places.set(text, place);
  });
  return places;
}

/**
 * Compares everything.
 * @param watchers listeners on servers that were there all the time: they have one term
 * @param ends by server: the marks of when it was told to end; null when it was killed
 * @returns how many deliveries were checked, how many terms there were, and how those ended whose server was told to end
 */
export function settle(talk, watchers, listeners, ends) {
  const sum = { deliveries: 0, terms: 0, byClose: 0, cut: [] };
  for (const topic of TOPICS) {
    const heard = watchers[0].term.heard[topic];
    for (const other of watchers) assert.deepEqual(other.term.heard[topic], heard, `${topic}: one order on all servers`);
    const places = order(heard);
    talk.acked[topic].forEach((last, s) => assert.ok(places.has(`${s} ${last}`), `${topic}: ${s} ${last} was acknowledged`));
    for (const listener of listeners) {
      for (const [n, term] of listener.terms.entries()) {
        const what = `${topic} at ${listener.name}, connection ${n} on ${term.server}`;
        sum.deliveries += piece(term.heard[topic], heard, places, what);
        if (term.from[topic] === undefined) continue;
        // Who speaks since then has begun with 0.
        const from = talk.said[topic].map((_, s) => term.from[topic][s] ?? 0);
        begins(term.heard[topic], from, places, what);
        const marks = term.end === undefined ? talk.marks() : ends.get(term.server);
        if (marks) finishes(term.heard[topic], from, places, marks.acked[topic], what);
      }
    }
  }
  for (const { terms } of listeners) {
    const told = terms.filter(({ server, end }) => end !== undefined && ends.get(server));
    sum.terms += terms.length;
    sum.byClose += told.length;
    sum.cut.push(...told.filter(({ end }) => end !== CLOSED).map(({ server, end }) => `${server}: ${end}`));
  }
  return sum;
}

function piece(part, heard, places, what) {
  if (part.length === 0) return 0;
  const first = places.get(part[0]);
  assert.ok(first !== undefined, `${what}: ${part[0]} is known to nobody else`);
  // Compared by hand, because assert's own list of differences takes minutes.
  const wrong = part.findIndex((text, i) => text !== heard[first + i]);
  assert.equal(wrong, -1, `${what}: ${part.slice(wrong - 2, wrong + 3)} instead of ${heard.slice(first + wrong - 2, first + wrong + 3)}`);
  return part.length;
}

/** Where texts are in the order that nobody need have heard: at its end. */
const placeOf = (places, text) => places.get(text) ?? Infinity;

function begins(heard, from, places, what) {
  // Nothing at all may be right for a connection that ended at once: the end is judged for itself.
  if (heard.length === 0) return;
  const owed = Math.min(...from.map((next, s) => placeOf(places, `${s} ${next}`)));
  const first = places.get(heard[0]);
  assert.ok(first <= owed, `${what}: begins ${first - owed} too late`);
}

function finishes(heard, from, places, acked, what) {
  // What was acknowledged before the client was a member is not owed.
  const owed = Math.max(-1, ...acked.map((last, s) => (last >= from[s] ? places.get(`${s} ${last}`) : -1)));
  const last = heard.length === 0 ? -1 : places.get(heard.at(-1));
  assert.ok(last >= owed, `${what}: misses the last ${owed - last}`);
}
