// The client matrix: the .NET client, as a process of its own.

import { after } from 'node:test';
import { cellsOf, client } from './matrix/dotnet.mjs';
import { matrix } from './matrix/run.mjs';

after(() => client().end());

matrix('.NET', async (link, base) => {
  const cells = cellsOf(link, base);
  return (cell) => cells[cell]();
});
