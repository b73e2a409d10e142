// Chromium with a fresh profile, by playwright-core from the folder BUILD of the environment.
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const require = createRequire(join(process.env.BUILD, 'x.js'));
const { chromium } = require('playwright-core');

/** A context of its own: `options` are playwright's, `args` more of Chromium's. To be given to `close`. */
export async function open(options = {}, ...args) {
  const profile = mkdtempSync(join(tmpdir(), 'salver-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', ...args],
    ...options,
  });
  context.setDefaultTimeout(90_000); // a first start reads much from a disk that may be busy
  profiles.set(context, profile);
  return context;
}

/** Clicks on what leads to another page, and waits until that one is loaded: a click alone returns while the old one still stands. */
export const follow = (page, selector) => Promise.all([page.waitForEvent('load'), page.click(selector)]);

/** Closes a context and removes its profile. */
export async function close(context) {
  await context.close();
  rmSync(profiles.get(context), { recursive: true, force: true });
}

const profiles = new Map();
