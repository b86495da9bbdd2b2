// Waiting for something to become true, always with a deadline, never for a fixed time.

const LIMIT_MS = Number(process.env.SIGNALR_TEST_DEADLINE_MS ?? 20_000);
const POLL_MS = 20;

/** Fails when `promise` has not settled within the limit; `what` says what was waited for. */
export async function within(promise, what, limit = LIMIT_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Waited ${limit} ms in vain for: ${what}`)), limit);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again and again until `probe()` gives a truthy value, and resolves with that. */
export async function poll(probe, what, limit = LIMIT_MS) {
  let over = false;
  const ask = async () => {
    while (!over) {
      const answer = await probe();
      if (answer) return answer;
      await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
    }
    return undefined;
  };
  try {
    return await within(ask(), what, limit);
  } finally {
    over = true;
  }
}

/** A promise with its handles outside. */
export function deferred() {
  const handles = {};
  handles.promise = new Promise((resolve, reject) => Object.assign(handles, { resolve, reject }));
  // Whoever waits sees the rejection; nobody waiting is no reason to end the process.
  handles.promise.catch(() => {});
  return handles;
}

/** A list that tells when it grows. */
export class Inbox {
  #items = [];
  #waiters = new Set();

  get items() {
    return [...this.#items];
  }

  push(item) {
    this.#items.push(item);
    for (const waiter of [...this.#waiters]) waiter();
  }

  /** Resolves with all items as soon as `ready(items)` holds. */
  async until(ready, what) {
    const met = deferred();
    const check = () => {
      if (ready(this.#items)) met.resolve(this.items);
    };
    this.#waiters.add(check);
    check();
    try {
      return await within(met.promise, what);
    } catch (error) {
      throw new Error(`${error.message}; so far: ${JSON.stringify(this.#items)}`);
    } finally {
      this.#waiters.delete(check);
    }
  }

  /** Resolves with the first `count` items. */
  async take(count, what = `${count} item(s)`) {
    const items = await this.until((all) => all.length >= count, what);
    return items.slice(0, count);
  }
}
