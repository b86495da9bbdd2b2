// One question to a Redis, without a client library.

import { connect } from 'node:net';
import { within } from './wait.mjs';

/** Sends an inline command; gives the lines of its answer without their lengths. */
export async function ask(port, command) {
  const socket = connect(port, '127.0.0.1');
  // Redis ends the connection behind its answers.
  socket.setEncoding('utf8').write(`${command}\r\nQUIT\r\n`);
  const answer = async () => {
    let text = '';
    for await (const piece of socket) text += piece;
    if (text.startsWith('-')) throw new Error(`${command}: ${text}`);
    // The last of all is the goodbye.
    return text.split(/\r?\n/).filter((line) => line !== '' && !/^[$*%]\d+$/.test(line)).slice(0, -1);
  };
  try {
    return await within(answer(), `an answer to ${command}`);
  } finally {
    socket.destroy();
  }
}

/** The channels that anybody listens to. */
export const channels = async (port) => (await ask(port, 'PUBSUB CHANNELS')).sort();

/** To how many channels servers of ours listen, all together. */
export async function subscriptions(port) {
  const clients = (await ask(port, 'CLIENT LIST')).filter((line) => !line.includes('SE.Redis'));
  return clients.reduce((sum, line) => sum + Number(/ sub=(\d+) /.exec(line)?.[1] ?? 0), 0);
}
