// Drives Chromium: `node drive.mjs SCENARIO URL` prints what it saw as JSON. Every scenario of scenarios.mjs gets a fresh profile,
// and every console message and every request that leaves the machine is in the result.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as chromium from '../chromium.mjs';
import { scenarios } from './scenarios.mjs';

const axe = readFileSync(chromium.require.resolve('axe-core/axe.min.js'), 'utf8');
const screenshots = join(process.env.BUILD, 'screenshots');
mkdirSync(screenshots, { recursive: true });

const [name, url] = process.argv.slice(2);
const seen = { messages: [], foreign: [], failed: [] };
const contexts = [];

/** A page of its own: `{ dark, phone, js }`. */
async function open({ dark = false, phone = false, js = true, motion = 'no-preference' } = {}) {
  const context = await chromium.open({
    colorScheme: dark ? 'dark' : 'light',
    reducedMotion: motion,
    javaScriptEnabled: js,
    viewport: phone ? { width: 390, height: 844 } : { width: 1280, height: 800 },
    hasTouch: phone,
    locale: 'en-GB',
    timezoneId: 'UTC',
  });
  contexts.push(context);
  context.on('request', (request) => {
    const { protocol, hostname } = new URL(request.url());
    if (protocol.startsWith('http') && hostname !== '127.0.0.1') seen.foreign.push(request.url());
  });
  context.on('response', (response) => { if (response.status() >= 400) seen.failed.push(`${response.status()} ${response.url()}`); });
  const page = context.pages()[0] ?? await context.newPage();
  page.on('console', (message) => seen.messages.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => seen.messages.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => { seen.messages.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  return page;
}

const tools = {
  open,
  /** A picture for people, in the build folder. */
  shot: (page, file) => page.screenshot({ path: join(screenshots, `${file}.png`) }),
  /** What axe-core has against the page: `rule: element`. */
  async violations(page) {
    // Evaluated by the debugger, which the page's policy does not bind.
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run());
    return violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.html.slice(0, 160)} ${node.failureSummary}`));
  },
};

try {
  const result = await scenarios[name](url, tools);
  console.log(JSON.stringify({ ...seen, ...result }));
} finally {
  for (const context of contexts) await chromium.close(context);
}
