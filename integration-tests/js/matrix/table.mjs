// The table that a run of the matrix prints: a row per client, transport and protocol, a column per feature. Every line
// begins with `MATRIX`, so that the summary of a whole test run can repeat it.

import { FEATURES } from './cells.mjs';

/** Links of one client. Server-Sent Events carry text only, so one row has no cells. */
export const LINKS = [
  { transport: 'ws', protocol: 'json' },
  { transport: 'ws', protocol: 'messagepack' },
  { transport: 'ws', protocol: 'json', skipNegotiation: true },
  { transport: 'ws', protocol: 'messagepack', skipNegotiation: true },
  { transport: 'sse', protocol: 'json' },
  { transport: 'lp', protocol: 'json' },
  { transport: 'lp', protocol: 'messagepack' },
];
const IMPOSSIBLE = { transport: 'sse', protocol: 'messagepack' };

export const nameOf = ({ transport, protocol, skipNegotiation }) =>
  `${transport}${skipNegotiation ? ' without negotiate' : ''}, ${protocol}`;

export class Table {
  #results = new Map();

  constructor(client) {
    this.client = client;
  }

  /** Notes how a cell ended, and passes that on. */
  async note(link, feature, run) {
    const key = `${nameOf(link)} ${feature}`;
    this.#results.set(key, 'FAIL');
    await run();
    this.#results.set(key, 'ok');
  }

  print() {
    const row = (name, cells) => `MATRIX | ${name} | ${cells.join(' | ')} |`;
    const lines = [row('client, transport, protocol', FEATURES)];
    for (const link of LINKS) {
      const cells = FEATURES.map((feature) => this.#results.get(`${nameOf(link)} ${feature}`) ?? 'not run');
      lines.push(row(`${this.client}, ${nameOf(link)}`, cells));
    }
    lines.push(row(`${this.client}, ${nameOf(IMPOSSIBLE)}`, FEATURES.map(() => '-')));
    lines.push('MATRIX -: Server-Sent Events carry text; clients and servers refuse MessagePack over them');
    console.log(lines.join('\n'));
  }
}
