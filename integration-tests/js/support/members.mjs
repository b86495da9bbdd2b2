// Clients spread over the servers of a fleet, what each of them received, and every way to send to them.

import assert from 'node:assert/strict';
import { PROTOCOLS, connect, failure } from './client.mjs';
import { REFERENCE_IS_LOST } from './fleet.mjs';
import { Inbox, poll, within } from './wait.mjs';

// Names as people choose them. The same bytes must come out of every server's channel names.
export const USERS = ['ann', 'bøb:user:*', '多 "quoted" [a-z]? \\ %25'];
export const GROUPS = ['red', 'blüe:group:x', '😀 *?[b]{c}'];

const SEQUENCE = 3;
// Long enough that LZ4, where it is switched on, is used.
const PADDING = '.'.repeat(200);

/**
 * Two clients on every server, one per protocol. The n-th client's user is USERS[n % 4] (every fourth has none).
 * Groups: the first has every client but the second; the second has every third client; the third has the last two.
 * Every membership is asked for at a server that may not hold the connection.
 * @param open (test, url, protocol) => a connection; default: the official JavaScript client
 */
export async function join(test, nodes, run, open = connect) {
  const members = [];
  for (const [n, node] of nodes.entries()) {
    for (const [p, protocol] of PROTOCOLS.entries()) {
      const number = 2 * n + p;
      const user = USERS[number % 4];
      const query = user ? `?user=${encodeURIComponent(run + user)}` : '';
      const connection = await open(test, `${node.url}/scale${query}`, protocol);
      const member = { name: `${n}${protocol.name[0]}`, node: n, user, connection, id: connection.connectionId, groups: [] };
      member.notes = notes(connection, `Note${run}`);
      members.push(member);
    }
  }
  // A server of the reference subscribes to acks when its first client is let in, which is after its handshake; asked for a
  // group before, it waits for an ack that has passed. A call is served after that.
  await Promise.all(members.map(({ connection, id }) => connection.invoke('RemoveFromGroup', id, `${run}nothing`)));
  await members.reduce(async (before, member, number) => {
    await before;
    const wanted = [number !== 1, number % 3 === 0, number >= members.length - 2];
    for (const group of GROUPS.filter((_, g) => wanted[g])) {
      await addElsewhere(nodes, members, member, run + group, number);
      member.groups.push(group);
    }
  }, Promise.resolve());
  return members;
}

/** Half through a hub method of another client, half through the control end point of another server. */
async function addElsewhere(nodes, members, member, group, number) {
  const other = (member.node + 1) % nodes.length;
  if (number % 2 === 0) {
    await control(nodes[other], 'group', { action: 'add', connectionId: member.id, group });
  } else {
    await members.find(({ node }) => node === other).connection.invoke('AddToGroup', member.id, group);
  }
}

/** What arrived: the texts without their padding. */
function notes(connection, method) {
  const box = new Inbox();
  connection.on(method, (text) => box.push(text.split('\n')[0]));
  return box;
}

/** A request to a server's control end point; an error it answers is an error here. */
export async function control(node, action, body) {
  const request = fetch(`${node.url}/control/${action}`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
  });
  const answer = await (await within(request, `${action} at ${node.url}`)).json();
  if (answer.error) throw Object.assign(new Error(answer.error.message), { type: answer.error.type });
  return answer;
}

/**
 * Every way to send, as [hub method, control target, ids, except] and who receives it how often. Hub methods that know the
 * caller have no control target.
 */
export function targets(run, members) {
  const others = (member, me) => member !== me;
  const inGroup = (member, group) => member.groups.includes(group);
  const odd = members.filter((_, i) => i % 2 === 1);
  const has = (list) => (member) => list.includes(member);
  const [first, second, last] = [members[0], members[1], members.at(-1)];
  const cases = [
    { name: 'all', hub: 'SendAll', target: 'all', receives: () => true },
    { name: 'caller', hub: 'SendCaller', receives: (member, me) => member === me },
    { name: 'others', hub: 'SendOthers', receives: others },
    { name: 'all except', hub: 'SendAllExcept', target: 'allExcept', except: [...ids(odd), 'nobody'], receives: (m) => !odd.includes(m) },
    { name: 'all except nobody', hub: 'SendAllExcept', target: 'allExcept', except: [], receives: () => true },
    { name: 'unknown client', hub: 'SendClient', target: 'client', ids: ['nobody'], receives: () => false },
    { name: 'clients', hub: 'SendClients', target: 'clients', ids: [first.id, 'nobody', last.id], receives: has([first, last]) },
    { name: 'group except', hub: 'SendGroupExcept', target: 'groupExcept', ids: [run + GROUPS[0]], except: [first.id, second.id], receives: (m) => inGroup(m, GROUPS[0]) && m !== first },
    { name: 'others in group', hub: 'SendOthersInGroup', ids: [run + GROUPS[0]], receives: (m, me) => inGroup(m, GROUPS[0]) && m !== me },
    { name: 'unknown group', hub: 'SendGroup', target: 'group', ids: [`${run}green`], receives: () => false },
    { name: 'group in other letters', hub: 'SendGroup', target: 'group', ids: [`${run}RED`], receives: () => false },
    {
      name: 'groups', hub: 'SendGroups', target: 'groups', ids: GROUPS.map((group) => run + group), many: true,
      receives: (m) => m.groups.length,
    },
    { name: 'unknown user', hub: 'SendUser', target: 'user', ids: [`${run}eve`], receives: () => false },
    { name: 'users', hub: 'SendUsers', target: 'users', ids: USERS.map((user) => run + user), receives: (m) => m.user !== undefined },
  ];
  for (const member of members) {
    cases.push({ name: `client ${member.name}`, hub: 'SendClient', target: 'client', ids: [member.id], receives: has([member]) });
  }
  for (const group of GROUPS) {
    cases.push({ name: `group ${group}`, hub: 'SendGroup', target: 'group', ids: [run + group], receives: (m) => inGroup(m, group) });
  }
  for (const user of USERS) {
    cases.push({ name: `user ${user}`, hub: 'SendUser', target: 'user', ids: [run + user], receives: (m) => m.user === user });
  }
  return cases;
}

const ids = (members) => members.map(({ id }) => id);
const SINGLE = new Set(['SendClient', 'SendGroup', 'SendGroupExcept', 'SendOthersInGroup', 'SendUser']);

/** The hub method's arguments in front of client method and text. */
function hubArguments({ hub, ids: targeted, except }) {
  const front = targeted === undefined ? [] : [SINGLE.has(hub) ? targeted[0] : targeted];
  return except === undefined ? front : [...front, except];
}

/**
 * Sends `SEQUENCE` numbered messages from everywhere to every target and checks who received them: each exactly once and in
 * order, nobody else anything. Each check is a test of its own, named after target and sender.
 */
export async function exchange(test, nodes, run, members) {
  const cases = targets(run, members);
  const sends = [];
  const senders = [
    ...members.map((me) => ({ name: `client ${me.name}`, me, via: me })),
    ...nodes.map((node, n) => ({ name: `control ${n}`, node })),
  ];
  // One sender's sends go one after the other, as their order is promised; the senders side by side.
  await Promise.all(senders.map(async (sender) => {
    for (const target of cases) {
      if (!sender.me && !target.target) continue;
      sends.push({ sender, target, mark: `${target.name} from ${sender.name}` });
      for (let i = 0; i < SEQUENCE; i += 1) await send(run, sender, target, `${target.name} from ${sender.name} #${i}`);
    }
  }));
  await Promise.all(members.map((member) => settle(run, nodes, cases, member, expected(sends, member))));
  for (const { sender, target, mark } of sends) {
    await test.test(mark, () => {
      for (const member of members) {
        const times = Number(target.receives(member, sender.me));
        const wanted = Array.from({ length: SEQUENCE }, (_, i) => Array(times).fill(`${mark} #${i}`)).flat();
        const got = member.notes.items.filter((note) => note.startsWith(`${mark} #`));
        // Several channels have no common order.
        if (target.many || isLost(sender.node ?? nodes[sender.me.node])) got.sort();
        assert.deepEqual(got, wanted, `at ${member.name}`);
      }
    });
  }
}

function send(run, sender, target, text) {
  const payload = `${text}\n${PADDING}`;
  if (sender.me) {
    return within(sender.me.connection.invoke(target.hub, ...hubArguments(target), `Note${run}`, payload), text);
  }
  const { target: kind, ids: targeted = [], except = [] } = target;
  return control(sender.node, 'send', { target: kind, ids: targeted, except, method: `Note${run}`, args: [payload] });
}

const expected = (sends, member) =>
  sends.reduce((sum, { sender, target }) => sum + SEQUENCE * Number(target.receives(member, sender.me)), 0);

/** Waits for all that should come, and then for a last message on each of the member's channels: after it nothing is on its way. */
async function settle(run, nodes, cases, member, count) {
  const mine = (note) => !note.startsWith('fence');
  await member.notes.until((all) => all.filter(mine).length >= count, `${count} messages at ${member.name}`);
  const channels = cases.filter(({ name, receives }) => receives(member) && /^(all|(client|group|user) .*)$/.test(name));
  for (const [n, node] of nodes.entries()) {
    for (const channel of channels) await send(run, { node }, channel, `fence ${member.name} ${n} ${channel.name}`);
  }
  const wanted = nodes.length * channels.length;
  const own = (note) => note.startsWith(`fence ${member.name} `);
  await member.notes.until((all) => all.filter(own).length >= wanted, `${wanted} fences at ${member.name}`);
}

/** Members leave their groups, asked at another server; then they hear nothing more of the group and the others all. */
export async function partings(nodes, run, members) {
  const [gone] = members;
  const group = GROUPS[0];
  const other = members.find(({ node }) => node !== gone.node) ?? members[1];
  await other.connection.invoke('RemoveFromGroup', gone.id, run + group);
  await control(nodes[other.node], 'group', { action: 'remove', connectionId: gone.id, group: run + group });
  for (const [n, node] of nodes.entries()) {
    await send(run, { node }, { target: 'group', ids: [run + group] }, `parting ${n}`);
    await send(run, { node }, { target: 'client', ids: [gone.id] }, `parted ${n}`);
  }
  const parting = (note) => note.startsWith('parting');
  for (const member of members.filter((m) => m !== gone && m.groups.includes(group))) {
    const got = await member.notes.until((all) => all.filter(parting).length >= nodes.length, `partings at ${member.name}`);
    assert.equal(got.filter(parting).length, nodes.length, `at ${member.name}`);
  }
  await gone.notes.until((all) => all.filter((note) => note.startsWith('parted')).length === nodes.length, 'the last words');
  assert.deepEqual(gone.notes.items.filter(parting), [], 'a connection that has left heard its group');
  await other.connection.invoke('AddToGroup', gone.id, run + group);
}

/** Whether a server is one of those that lose order and receivers on this Redis. */
const isLost = ({ kind }) => REFERENCE_IS_LOST && kind === 'dotnet';

/** Every server that can asks every client, by a hub method and from outside; each gets that client's own answer. */
export async function questions(nodes, run, members) {
  for (const [number, member] of members.entries()) {
    member.connection.on(`Ask${run}`, (text) => 100 * number + text.length);
  }
  for (const [number, member] of members.entries()) {
    for (const [n, node] of nodes.entries()) {
      if (isLost(node) && member.node !== n) continue;
      const question = 'x'.repeat(n + 1);
      const asked = control(node, 'invoke', { connectionId: member.id, method: `Ask${run}`, args: [question], type: 'int', timeoutMs: 15_000 });
      assert.equal((await asked).result, 100 * number + n + 1, `control ${n} asks ${member.name}`);
      const asker = members.find((other) => other.node === n && other !== member);
      const answer = await within(asker.connection.invoke('AskClient', member.id, `Ask${run}`, question), `${asker.name} asks ${member.name}`);
      assert.equal(answer, 100 * number + n + 1, `${asker.name} asks ${member.name}`);
    }
  }
}

/** A connection that has gone is gone for every server: asking it fails, everywhere, and soon. */
export async function absences(nodes, run, members) {
  const member = members.at(-1);
  const id = member.id;
  await member.connection.stop();
  await poll(async () => (await Promise.all(nodes.map((node) => info(node)))).every((each) => !each.ids.some((live) => live.id === id)), 'the server to notice that a client has left');
  for (const node of nodes) {
    // The reference counts a connection whose channel is still being left, and then waits for its own time-out.
    const ask = () => control(node, 'invoke', { connectionId: id, method: `Ask${run}`, args: ['x'], type: 'int', timeoutMs: 3000 });
    await poll(async () => /does not exist|disconnected/.test(await failure(ask())), `${node.url} to know that nobody is there`);
  }
}

/** What a server says about itself. */
export async function info(node) {
  return (await within(fetch(`${node.url}/control/info`), `the info of ${node.url}`)).json();
}
