// The client matrix: the official JavaScript client in Node.

import * as signalR from '@microsoft/signalr';
import { MessagePackHubProtocol } from '@microsoft/signalr-protocol-msgpack';
import { cellsOf } from './matrix/cells.mjs';
import { matrix } from './matrix/run.mjs';

matrix('JavaScript in Node', async (link, base) => {
  const cells = cellsOf({ signalR, MessagePackHubProtocol }, link, base);
  return (cell) => cells[cell]();
});
