// What one client heard of everybody who talks, in memory that does not grow with time: for hours of traffic.
//
// Numbers of a stream must arrive in order and once. A hole is lost; a number that comes into a hole is late; one that is in
// no hole came twice.

import assert from 'node:assert/strict';
import { TOPICS } from './account.mjs';

export class Ledger {
  #streams = new Map();
  #from;

  /** @param from the numbers, by topic and speaker, from which on this client is a member */
  constructor(name, from) {
    this.name = name;
    this.#from = from;
    this.heard = 0;
    this.late = 0;
    this.doubled = [];
  }

  take(topic, text) {
    const [speaker, number] = text.split(' ').map(Number);
    const stream = this.#stream(topic, speaker);
    if (number < stream.from) return;
    this.heard += 1;
    if (number >= stream.next) {
      for (let missing = stream.next; missing < number; missing += 1) stream.holes.add(missing);
      stream.next = number + 1;
    } else if (stream.holes.delete(number)) {
      this.late += 1;
    } else {
      this.doubled.push(`${topic} ${text}`);
    }
  }

  /** Whether of every stream this number, or a later one, has come. */
  has(numbers) {
    return this.lacks(numbers).length === 0;
  }

  /** The streams of which neither this number nor a later one has come. */
  lacks(numbers) {
    const behind = (topic) => (number, speaker) => (this.#stream(topic, speaker).next > number ? [] : [`${topic} ${speaker}`]);
    return TOPICS.flatMap((topic) => numbers[topic].flatMap(behind(topic)));
  }

  /** What is lost of one speaker. */
  lost(speaker) {
    return TOPICS.flatMap((topic) => [...this.#stream(topic, speaker).holes].map((number) => ({ topic, number })));
  }

  /** Fails for what came twice, and for what is lost and was said outside of every outage. */
  check(outages) {
    assert.deepEqual(this.doubled, [], `${this.name} heard things twice`);
    for (const [key, { holes }] of this.#streams) {
      const [topic, speaker] = key.split(' ');
      const excused = (number) => outages.some(({ from, to }) => number >= from[topic][speaker] && number < to[topic][speaker]);
      const wrong = [...holes].filter((number) => !excused(number));
      assert.deepEqual(wrong, [], `${this.name} lost these of ${key}, all said while all was well`);
    }
  }

  #stream(topic, speaker) {
    const key = `${topic} ${speaker}`;
    if (!this.#streams.has(key)) {
      const from = this.#from[topic][speaker] ?? 0;
      this.#streams.set(key, { from, next: from, holes: new Set() });
    }
    return this.#streams.get(key);
  }
}
