// The chat page: who I am, which rooms I am in, what was said there. Talks to the hub at /chat through the official
// SignalR client. Whatever comes from other people is put into the page as text, never as HTML.

// The client library comes from this server when it has it (`cargo xtask setup`), else from a public mirror, pinned to
// one version and checked by its hash.
const LIBRARIES = {
  signalr: {
    local: '/lib/signalr.js',
    mirror: 'https://cdn.jsdelivr.net/npm/@microsoft/signalr@10.0.11/dist/browser/signalr.min.js',
    hash: 'sha384-N+pL/4qXZHZcvsa6hVMd5/7cdF3lC59ZMNHeQyRo5q9jmC7yw0hcJILPjUDSU7ZS',
  },
  messagepack: {
    local: '/lib/signalr-protocol-msgpack.js',
    mirror: 'https://cdn.jsdelivr.net/npm/@microsoft/signalr-protocol-msgpack@10.0.11/dist/browser/signalr-protocol-msgpack.min.js',
    hash: 'sha384-n6iFjTkQ2ZSd8IQ2S54Pdvo3eSmk/ulGO1Uc2ZNzAS7A6mGgJGQ9ZG0u75b2MWrp',
  },
};

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 15_000;
const HISTORY = 500; // lines kept per room
const TYPING_EVERY_MS = 2_000;
const TYPING_SHOWN_MS = 4_000;

const element = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

const me = { name: '', protocol: 'json' };
const rooms = new Map(); // name -> what newRoom makes
let current = '';
let connection = null;

// ---------------------------------------------------------------------------------------------------- entering

function showDoor() {
  const saved = readSession();
  const asked = new URLSearchParams(location.search).get('protocol');
  const protocol = asked === 'messagepack' || asked === 'json' ? asked : saved?.protocol ?? 'json';
  element('enter').elements.protocol.value = protocol;
  if (saved) restore({ ...saved, protocol });
}

element('enter').addEventListener('submit', (event) => {
  event.preventDefault();
  const form = event.target.elements;
  const name = form.name.value.trim();
  const room = form.room.value.trim();
  if (!name || !room) return;
  enter(name, form.protocol.value);
  openRoom(room);
});

function restore(saved) {
  enter(saved.name, saved.protocol);
  for (const [room, lines] of saved.rooms) newRoom(room, lines);
  const [first] = rooms.keys();
  if (first) {
    showRoom(rooms.has(saved.current) ? saved.current : first);
  } else {
    showNoRoom();
  }
}

function enter(name, protocol) {
  me.name = name;
  me.protocol = protocol;
  element('me').textContent = name;
  element('protocol').textContent = protocol === 'json' ? 'JSON' : 'MessagePack';
  element('door').hidden = true;
  element('house').hidden = false;
  element('out').hidden = false;
  document.querySelector('.bar').classList.add('inside');
  addEventListener('pagehide', saveSession);
  keepConnected();
}

element('out').addEventListener('click', () => {
  removeEventListener('pagehide', saveSession);
  sessionStorage.removeItem('chat');
  location.reload();
});

// ------------------------------------------------------------------------------------------ connection and retry

/** Connects, and connects again whenever the connection is lost, for as long as the page is open. */
async function keepConnected() {
  setState('busy', 'Connecting…');
  if (!await loadLibraries()) return;
  connection = build();
  for (let failures = 0; ; failures += 1) {
    try {
      const lost = new Promise((resolve) => { onLost = resolve; });
      await connection.start();
      for (const room of rooms.keys()) await join(room);
      watchReach();
      setState('on', 'Connected');
      trouble('');
      failures = 0;
      await lost;
    } catch (error) {
      console.warn('No connection:', error);
      if (connection.state !== 'Disconnected') await connection.stop();
    }
    for (const room of rooms.values()) room.joined = false;
    notice('');
    setState('off', 'Reconnecting…');
    trouble('The server is gone. What you see here stays, and the page reconnects by itself.', true);
    await waitToRetry(failures);
  }
}

let onLost = () => {};

function build() {
  const builder = new signalR.HubConnectionBuilder().withUrl('/chat').configureLogging(signalR.LogLevel.Warning);
  if (me.protocol === 'messagepack') builder.withHubProtocol(new signalR.protocols.msgpack.MessagePackHubProtocol());
  const built = builder.build();
  built.onclose(() => onLost());
  built.on('Said', (room, name, text, id) => said(room, name, text, id === built.connectionId));
  built.on('Joined', (room, name) => addLine(room, { note: `${name} came in` }));
  built.on('Left', (room, name) => addLine(room, { note: `${name} left` }));
  built.on('Typing', showTyping);
  return built;
}

/** Joins a room once per connection. */
async function join(room) {
  const state = rooms.get(room);
  if (!state || state.joined) return;
  state.joined = true;
  try {
    await connection.invoke('Join', room, me.name);
  } catch (error) {
    state.joined = false;
    throw error;
  }
}

/** Says, without a fuss, when people on other servers are out of reach; a lone server never has anything to say. */
function watchReach() {
  connection.stream('Reach').subscribe({
    next: (reached) => notice(reached ? '' : 'Other servers are out of reach. Messages to and from them may be late or missing.'),
    complete: () => {},
    // The connection is gone, and the page says so.
    error: () => {},
  });
}

/** Waits a little longer after each failure, counting down; ends early on "Try now" and when the network comes back. */
function waitToRetry(failures) {
  const delay = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** failures) * (0.8 + 0.4 * Math.random());
  const due = Date.now() + delay;
  const countdown = element('countdown');
  const count = () => { countdown.textContent = `Next try in ${Math.max(1, Math.ceil((due - Date.now()) / 1_000))} s`; };
  return new Promise((resolve) => {
    const counting = setInterval(count, 250);
    const done = () => {
      clearInterval(counting);
      clearTimeout(timer);
      element('retry').removeEventListener('click', done);
      removeEventListener('online', done);
      countdown.textContent = '';
      resolve();
    };
    const timer = setTimeout(done, delay);
    element('retry').addEventListener('click', done);
    addEventListener('online', done);
    count();
  });
}

function setState(state, text) {
  const status = element('status');
  if (status.textContent !== text) status.textContent = text;
  status.dataset.state = state;
}

function notice(text) {
  const shown = element('notice');
  shown.hidden = !text;
  shown.textContent = text;
}

function trouble(text, retry = false) {
  element('trouble').hidden = !text;
  element('retry').hidden = !retry;
  if (element('trouble-text').textContent !== text) element('trouble-text').textContent = text;
}

// ------------------------------------------------------------------------------------------------ client library

async function loadLibraries() {
  const wanted = me.protocol === 'messagepack' ? ['signalr', 'messagepack'] : ['signalr'];
  for (const name of wanted) {
    const { local, mirror, hash } = LIBRARIES[name];
    if (await loadScript(local) || await loadScript(mirror, hash)) continue;
    setState('off', 'Not connected');
    trouble('The SignalR client library could not be loaded, neither from this server nor from the public mirror. '
      + 'Run "cargo xtask setup" in the repository, which installs it, and reload this page.');
    return false;
  }
  return true;
}

function loadScript(src, integrity) {
  return new Promise((resolve) => {
    const script = document.createElement('script');
    script.src = src;
    if (integrity) Object.assign(script, { integrity, crossOrigin: 'anonymous' });
    script.onload = () => resolve(true);
    script.onerror = () => resolve(false);
    document.head.append(script);
  });
}

// --------------------------------------------------------------------------------------------------------- rooms

function newRoom(name, lines = []) {
  const badge = make('span', 'badge');
  const button = make('button', '', make('span', 'room-label', name), badge);
  button.type = 'button';
  button.addEventListener('click', () => showRoom(name));
  const item = make('li', '', button);
  element('rooms').append(item);
  rooms.set(name, { lines, joined: false, unread: 0, draft: '', typing: new Map(), item, button, badge });
}

element('join').addEventListener('submit', (event) => {
  event.preventDefault();
  const room = event.target.elements.room.value.trim();
  event.target.reset();
  if (room) openRoom(room);
});

element('leave').addEventListener('click', () => {
  const room = current;
  const { item, joined } = rooms.get(room);
  item.remove();
  rooms.delete(room);
  if (joined) attempt(connection.invoke('Leave', room, me.name));
  const [next] = rooms.keys();
  if (next) {
    showRoom(next);
  } else {
    showNoRoom();
  }
});

function openRoom(room) {
  if (!rooms.has(room)) {
    newRoom(room);
    addLine(room, { note: 'You came in' });
    // Without a connection: joined as soon as there is one.
    if (connection?.state === 'Connected') attempt(join(room));
  }
  showRoom(room);
}

function showRoom(room) {
  const left = rooms.get(current);
  if (left) left.draft = element('text').value;
  current = room;
  const entered = rooms.get(room);
  element('room-name').textContent = room;
  element('leave').hidden = false;
  element('say').hidden = false;
  element('say-error').textContent = '';
  element('text').value = entered.draft;
  showLines(entered.lines);
  read(room);
  listTyping();
  entered.button.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  element('text').focus();
}

function showNoRoom() {
  current = '';
  element('room-name').textContent = 'No room';
  element('leave').hidden = true;
  element('say').hidden = true;
  showLines([{ note: 'Join a room to talk.' }]);
  countUnread();
  listTyping();
  element('room').focus();
}

/** Another conversation comes into view: nothing new, so a screen reader need not read all of it out. */
function showLines(lines) {
  const log = element('log');
  log.setAttribute('aria-live', 'off');
  log.replaceChildren(...lines.map(lineElement));
  requestAnimationFrame(() => log.setAttribute('aria-live', 'polite'));
  scrollDown();
}

function read(room) {
  rooms.get(room).unread = 0;
  countUnread();
}

function countUnread() {
  let sum = 0;
  for (const [name, { unread, button, badge }] of rooms) {
    sum += unread;
    button.setAttribute('aria-current', String(name === current));
    badge.replaceChildren(...unread > 0 ? [unread > 99 ? '99+' : String(unread), make('span', 'hidden-label', ' unread')] : []);
  }
  document.title = sum > 0 ? `(${sum}) Chat` : 'Chat';
}

// ------------------------------------------------------------------------------------------------------ messages

element('say').addEventListener('submit', async (event) => {
  event.preventDefault();
  const field = element('text');
  const text = field.value.trim();
  if (!text || !current) return;
  if (connection?.state !== 'Connected') {
    element('say-error').textContent = 'Not sent: there is no connection. Your text stays here.';
    return;
  }
  if (!await attempt(connection.invoke('Say', current, me.name, text))) return;
  toldTyping = 0;
  if (field.value.trim() === text) field.value = '';
});

/** Shows what went wrong with a call, if anything did. Resolves with whether it went well. */
async function attempt(call) {
  element('say-error').textContent = '';
  try {
    await call;
    return true;
  } catch (error) {
    element('say-error').textContent = `Not done: ${error.message}`;
    return false;
  }
}

function said(room, name, text, mine) {
  rooms.get(room)?.typing.delete(name);
  addLine(room, { name, text, mine, at: Date.now() });
  if (room === current) listTyping();
}

function addLine(room, line) {
  const state = rooms.get(room);
  if (!state) return;
  state.lines.push(line);
  if (state.lines.length > HISTORY) state.lines.shift();
  if (room === current) {
    const log = element('log');
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
    log.append(lineElement(line));
    if (log.childElementCount > HISTORY) log.firstElementChild.remove();
    if (atEnd || line.mine) scrollDown();
  }
  if (line.text && (room !== current || document.hidden)) state.unread += 1;
  countUnread();
}

function lineElement({ note, name, text, mine, at }) {
  if (note) return make('li', 'note', note);
  const time = make('time', '', clock.format(at));
  time.dateTime = new Date(at).toISOString();
  const head = make('p', 'who', mine ? 'You' : name);
  head.append(' ', time);
  return make('li', mine ? 'mine' : 'theirs', head, make('p', 'text', text));
}

function scrollDown() {
  const log = element('log');
  log.scrollTop = log.scrollHeight;
}

document.addEventListener('visibilitychange', () => {
  if (!document.hidden && rooms.has(current)) read(current);
});

// ---------------------------------------------------------------------------------------------- who is typing

let toldTyping = 0;

element('text').addEventListener('input', () => {
  if (Date.now() - toldTyping < TYPING_EVERY_MS || connection?.state !== 'Connected' || !element('text').value) return;
  toldTyping = Date.now();
  connection.send('Typing', current, me.name).catch(() => {});
});

function showTyping(room, name) {
  const state = rooms.get(room);
  if (!state) return;
  clearTimeout(state.typing.get(name));
  state.typing.set(name, setTimeout(() => {
    state.typing.delete(name);
    listTyping();
  }, TYPING_SHOWN_MS));
  listTyping();
}

function listTyping() {
  const names = [...rooms.get(current)?.typing.keys() ?? []];
  const who = names.length > 3 ? 'Several people' : names.join(' and ');
  element('typing').textContent = names.length ? `${who} ${names.length > 1 ? 'are' : 'is'} typing…` : '';
}

// ------------------------------------------------------------------------------------------- session and helpers

/** Name, rooms and history live as long as the tab does, so that a reload loses nothing. */
function saveSession() {
  const lines = [...rooms].map(([room, state]) => [room, state.lines]);
  try {
    sessionStorage.setItem('chat', JSON.stringify({ ...me, current, rooms: lines }));
  } catch {
    // Full or forbidden: the page works without it, only a reload starts afresh.
  }
}

function readSession() {
  try {
    return JSON.parse(sessionStorage.getItem('chat'));
  } catch {
    return null;
  }
}

function make(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

showDoor();
