// The chat page in a real browser: two people talk, a third room hears nothing, the server goes and comes back.

import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { Visitor, launch } from './support/browser.mjs';
import { startChat } from './support/server.mjs';

const PHONE = { viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

let browser;
let server;
before(async () => { [browser, server] = await Promise.all([launch(), startChat()]); });
after(() => Promise.all([browser?.close(), server?.kill()]));

for (const protocol of ['json', 'messagepack']) {
  test(`two people talk, a third room does not hear (${protocol})`, async (t) => {
    const url = `${server.url}/?protocol=${protocol}`;
    const room = `room ${protocol}`;
    const [ann, bob, eve, dan] = await Promise.all(['1', '2', '3', '4'].map(() => Visitor.open(t, browser, url)));
    await ann.enter('Ann', room);
    await bob.enter('Bob', room);
    await ann.hears('Bob came in');
    await eve.enter('Eve', `other ${room}`);
    await dan.enter('Dan', `other ${room}`);

    await ann.say('Hello Bob');
    await bob.hears('Hello Bob');
    await bob.say('Hello Ann, grüße 😀 & <b>bold</b>');
    await ann.hears('Hello Ann, grüße 😀 & <b>bold</b>');
    await dan.say('Are we alone?');
    await eve.hears('Are we alone?');

    const talk = ['Hello Bob', 'Hello Ann, grüße 😀 & <b>bold</b>'];
    assert.deepEqual(await ann.messages(), talk);
    assert.deepEqual(await bob.messages(), talk);
    assert.deepEqual(await eve.messages(), ['Are we alone?']);
    assert.equal(await ann.page.getByRole('log').locator('b').count(), 0, 'text is never HTML');
    const binary = ann.frames.some((frame) => typeof frame !== 'string');
    assert.equal(binary, protocol === 'messagepack');
    for (const visitor of [ann, bob, eve, dan]) assert.deepEqual(visitor.errors, []);
    if (protocol === 'json') await ann.screenshot('chat-two-people');
  });
}

test('JSON and MessagePack users share a room', async (t) => {
  const ann = await Visitor.open(t, browser, `${server.url}/?protocol=json`);
  const bob = await Visitor.open(t, browser, `${server.url}/?protocol=messagepack`);
  await ann.enter('Ann', 'mixed');
  await bob.enter('Bob', 'mixed');
  await ann.say('from JSON');
  await bob.hears('from JSON');
  await bob.say('from MessagePack');
  await ann.hears('from MessagePack');
});

test('several rooms at once: unread messages are counted, leaving ends it', async (t) => {
  const ann = await Visitor.open(t, browser, server.url);
  const bob = await Visitor.open(t, browser, server.url);
  await ann.enter('Ann', 'north');
  await ann.join('south');
  await bob.enter('Bob', 'north');
  await bob.say('one');
  await bob.say('two');
  await ann.page.getByRole('navigation').getByRole('button', { name: 'north 2 unread' }).waitFor();
  await ann.switchTo('north');
  assert.deepEqual(await ann.messages(), ['one', 'two']);
  await ann.page.getByRole('button', { name: 'Leave' }).click();
  await bob.hears('Ann left');
  await bob.say('three');
  await bob.join('south');
  await bob.say('four');
  await ann.hears('four');
  assert.deepEqual(await ann.messages(), ['four'], 'nothing of the room that was left');
});

test('others see who is typing', async (t) => {
  const [ann, bob] = [await Visitor.open(t, browser, server.url), await Visitor.open(t, browser, server.url)];
  await ann.enter('Ann', 'typing');
  await bob.enter('Bob', 'typing');
  await ann.hears('Bob came in');
  await bob.field.pressSequentially('Hm');
  await ann.page.getByText('Bob is typing…').waitFor();
  await bob.field.press('Enter');
  await ann.hears('Hm');
  assert.equal(await ann.page.locator('#typing').textContent(), '');
});

test('everything works from the keyboard', async (t) => {
  const ann = await Visitor.open(t, browser, server.url);
  const { keyboard } = ann.page;
  await keyboard.type('Ann'); // the name has the focus
  await keyboard.press('Enter');
  await ann.status('Connected');
  await keyboard.type('typed and sent');
  await keyboard.press('Enter');
  await ann.hears('typed and sent');
  const focused = () => ann.page.evaluate(() => document.activeElement.getAttribute('aria-label')
    ?? document.activeElement.labels?.[0]?.textContent ?? document.activeElement.textContent);
  const seen = [];
  for (let i = 0; i < 6; i += 1) {
    await keyboard.press('Shift+Tab');
    seen.push(await focused());
  }
  const [log, ...others] = seen;
  assert.match(log, /typed and sent/, 'the conversation can be scrolled with the keys');
  assert.deepEqual(others.slice(0, 4), ['Leave', 'Join', 'Join another room', 'lobby']);
});

test('a reload loses nothing', async (t) => {
  const ann = await Visitor.open(t, browser, server.url);
  await ann.enter('Ann', 'reload');
  await ann.join('second');
  await ann.say('before');
  await ann.page.reload();
  await ann.status('Connected');
  await ann.hears('before');
  await ann.say('after');
  assert.deepEqual(await ann.messages(), ['before', 'after']);
});

test('signing out ends the session', async (t) => {
  const [ann, bob] = [await Visitor.open(t, browser, server.url), await Visitor.open(t, browser, server.url)];
  await ann.enter('Ann', 'signing out');
  await bob.enter('Bob', 'signing out');
  await ann.hears('Bob came in');
  await bob.page.getByRole('button', { name: 'Sign out' }).click();
  await ann.hears('Bob left');
  assert.equal(await bob.page.getByLabel('Your name').inputValue(), '');
});

test('the page says when the server is gone, and reconnects by itself when it is back', async (t) => {
  const first = await startChat();
  t.after(() => first.kill());
  const [ann, bob] = [await Visitor.open(t, browser, first.url), await Visitor.open(t, browser, first.url)];
  await ann.enter('Ann', 'lobby');
  await bob.enter('Bob', 'lobby');
  await ann.join('second');
  await ann.switchTo('lobby');
  await ann.say('before the crash');
  await bob.hears('before the crash');

  await first.kill();
  for (const visitor of [ann, bob]) {
    await visitor.page.getByRole('alert').filter({ hasText: 'The server is gone' }).waitFor();
    await visitor.status('Reconnecting');
  }
  await ann.field.fill('typed in vain');
  await ann.field.press('Enter');
  assert.deepEqual(await ann.messages(), ['before the crash'], 'nothing is shown as sent that was not');
  assert.equal(await ann.field.inputValue(), 'typed in vain', 'and nothing typed is lost');
  await ann.page.getByRole('alert').filter({ hasText: 'Not sent' }).waitFor();
  await ann.screenshot('chat-server-gone');

  const again = await startChat(first.port);
  t.after(() => again.kill());
  await Promise.all([ann.status('Connected'), bob.status('Connected')]);
  assert.equal(await ann.page.locator('#trouble').isVisible(), false);
  await ann.field.press('Enter');
  await bob.hears('typed in vain');
  await bob.say('welcome back');
  await ann.hears('welcome back');
  await bob.join('second');
  await bob.say('here too');
  await ann.page.getByRole('navigation').getByRole('button', { name: 'second 1 unread' }).waitFor();
});

test('"Try now" does not wait', async (t) => {
  const first = await startChat();
  t.after(() => first.kill());
  const ann = await Visitor.open(t, browser, first.url);
  await ann.enter('Ann', 'lobby');
  await first.kill();
  await ann.page.getByRole('button', { name: 'Try now' }).waitFor();
  const again = await startChat(first.port);
  t.after(() => again.kill());
  await ann.page.getByRole('button', { name: 'Try now' }).click();
  await ann.status('Connected');
});

test('a library from the mirror is used when its hash is right', async (t) => {
  const library = await readFile(new URL('./node_modules/@microsoft/signalr/dist/browser/signalr.min.js', import.meta.url), 'utf8');
  const ann = await Visitor.open(t, browser, server.url, { prepare: (window) => mirror(window, library) });
  await ann.enter('Ann', 'mirror');
});

test('without a library the page says what to run', async (t) => {
  for (const answer of [null, 'alert("not what was asked for")']) {
    const ann = await Visitor.open(t, browser, server.url, { prepare: (window) => mirror(window, answer) });
    await ann.page.getByLabel('Your name').fill('Ann');
    await ann.page.getByRole('button', { name: 'Enter' }).click();
    await ann.page.getByRole('alert').filter({ hasText: 'cargo xtask setup' }).waitFor();
  }
});

for (const colorScheme of ['light', 'dark']) {
  test(`looks right on a phone (${colorScheme})`, async (t) => {
    const ann = await Visitor.open(t, browser, server.url, { ...PHONE, colorScheme });
    const bob = await Visitor.open(t, browser, server.url, { colorScheme });
    await ann.screenshot(`chat-door-phone-${colorScheme}`);
    assert.ok(await ann.fits());
    await ann.enter('Ann with quite a long name', 'a garden');
    await bob.enter('Bob', 'a garden');
    await ann.join('reading room');
    await ann.join(`a room with a long name ${colorScheme}`);
    await ann.switchTo('a garden');
    await bob.say('Are the tomatoes ripe yet?');
    await ann.say('Not quite. Two more weeks, I would say, if the weather stays as it is.');
    await bob.say(`https://example.org/${'a-very-long-address-'.repeat(6)}`);
    await bob.field.pressSequentially('and');
    await ann.page.getByText('Bob is typing…').waitFor();
    await ann.screenshot(`chat-phone-${colorScheme}`);
    await bob.screenshot(`chat-wide-${colorScheme}`);
    assert.ok(await ann.fits(), 'nothing sticks out to the side');
    const ground = await ann.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(Number(/\d+/.exec(ground)[0]) < 128, colorScheme === 'dark');
    const field = await ann.field.boundingBox();
    assert.ok(field.y + field.height <= PHONE.viewport.height, 'the message field is in view');
  });
}

/** This server has no library; the mirror gives `answer`, or nothing. */
async function mirror(window, answer) {
  await window.route('**/lib/*.js', (route) => route.fulfill({ status: 404 }));
  await window.route('https://cdn.jsdelivr.net/**', (route) => {
    const headers = { 'access-control-allow-origin': '*' };
    return answer === null ? route.abort() : route.fulfill({ contentType: 'text/javascript', headers, body: answer });
  });
}
