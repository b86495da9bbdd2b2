// The chat page as people see it, in headless Chromium: opening it, entering, talking, reading.

import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { chromium } from 'playwright-core';

const ARTEFACTS = fileURLToPath(new URL('../../artefacts/', import.meta.url));
const QUIET = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];
const LIMIT_MS = Number(process.env.SIGNALR_TEST_DEADLINE_MS ?? 20_000);

export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: QUIET });
}

/** One browser window on the chat page, with storage of its own; closed at the end of the test. */
export class Visitor {
  static async open(test, browser, url, options = {}) {
    const { prepare, ...context } = options;
    const visitor = new Visitor();
    const window = await browser.newContext({ locale: 'en-GB', viewport: { width: 1000, height: 700 }, ...context });
    test.after(() => window.close());
    await prepare?.(window);
    visitor.page = await window.newPage();
    visitor.page.setDefaultTimeout(LIMIT_MS);
    visitor.errors = [];
    visitor.frames = [];
    visitor.page.on('pageerror', (error) => visitor.errors.push(error.message));
    visitor.page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => visitor.frames.push(payload)));
    await visitor.page.goto(url);
    return visitor;
  }

  async enter(name, room) {
    const { page } = this;
    await page.getByLabel('Your name').fill(name);
    await page.getByLabel('Room', { exact: true }).fill(room);
    await page.getByRole('button', { name: 'Enter' }).click();
    await this.status('Connected');
  }

  async join(room) {
    await this.page.getByLabel('Join another room').fill(room);
    await this.page.getByRole('button', { name: 'Join', exact: true }).click();
    await this.page.getByRole('heading', { name: room, exact: true }).waitFor();
  }

  async switchTo(room) {
    await this.page.getByRole('navigation').getByRole('button', { name: room }).click();
    await this.page.getByRole('heading', { name: room, exact: true }).waitFor();
  }

  /** Where a message is typed. */
  get field() {
    return this.page.getByRole('textbox', { name: 'Message' });
  }

  async say(text) {
    await this.field.fill(text);
    await this.field.press('Enter');
    await this.hears(text);
  }

  /** Waits until the open room shows `text`. */
  async hears(text) {
    await this.page.getByRole('log').getByText(text, { exact: true }).waitFor();
  }

  /** The texts of all messages that the open room shows. */
  messages() {
    return this.page.getByRole('log').locator('.text').allTextContents();
  }

  /** Waits until the connection state reads `text`. */
  async status(text) {
    await this.page.getByRole('status').filter({ hasText: text }).waitFor();
  }

  /** Whether everything fits the width of the window. */
  fits() {
    return this.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
  }

  screenshot(name) {
    mkdirSync(ARTEFACTS, { recursive: true });
    return this.page.screenshot({ path: path.join(ARTEFACTS, `${name}.png`) });
  }
}
