// Tokens that must never stand in a server's log, and the search for them: what every test was given here is looked for
// when its server ends.

import * as signalR from '@microsoft/signalr';

const WORD = /[\w.-]{16,}/g;
const LAST_WORD = /[\w.-]*$/;

const known = new Set();

/** Remembers a token of either kind. */
export function remember(token) {
  if (token) known.add(token);
  return token;
}

/** The client's own HTTP client; it remembers the tokens that pass through. */
export class WatchingClient extends signalR.DefaultHttpClient {
  async send(request) {
    const { Authorization } = request.headers ?? {};
    remember(Authorization?.replace(/^Bearer /, ''));
    const response = await super.send(request);
    if (request.url?.includes('/negotiate') && typeof response.content === 'string') {
      // Without a token of its own a connection (negotiate version 0) has nothing to hide.
      remember(/"connectionToken":"([^"]+)"/.exec(response.content)?.[1]);
      remember(/"accessToken":"([^"]+)"/.exec(response.content)?.[1]);
    }
    return response;
  }
}

/** The long words of a log, as it is written. */
export class LogWords {
  #words = new Set();
  #rest = '';

  add(text) {
    const all = this.#rest + text;
    const cut = all.search(LAST_WORD);
    this.#rest = all.slice(cut);
    for (const [word] of all.slice(0, cut).matchAll(WORD)) this.#words.add(word);
  }

  has(word) {
    return this.#words.has(word);
  }

  /** How many of the remembered tokens stand in the log. */
  leaks() {
    return [...known].filter((token) => this.#words.has(token)).length;
  }
}
