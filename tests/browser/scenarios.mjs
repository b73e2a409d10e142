// What is done with the page. Each scenario returns what it saw; test_page.py holds it to something.
import { follow } from '../chromium.mjs';

/** Light and dark, desktop and phone. */
const LOOKS = [false, true].flatMap((dark) =>
  [false, true].map((phone) => ({ dark, phone, label: `${dark ? 'dark' : 'light'}-${phone ? 'phone' : 'desktop'}` })));

const PAGES = { list: '/', grid: '/photos/?view=grid', text: '/src/main.rs?view', markdown: '/README.md?view',
  image: '/cover.png?view', audio: '/tone.wav?view', pdf: '/report.pdf?view', none: '/disk.iso?view', empty: '/empty/',
  error: '/no/such' };

const names = (page) => page.locator('#list bdi a').allTextContents();
const focused = (page) => page.evaluate(() => document.activeElement.textContent);

export const scenarios = {
  /** Every page in every look: a picture, axe, and whether it is wider than the window. */
  async looks(url, { open, shot, violations }) {
    const found = { axe: {}, wide: [], background: {} };
    for (const look of LOOKS) {
      const page = await open({ ...look, motion: 'reduce' });
      for (const [name, path] of Object.entries(PAGES)) {
        await page.goto(url + path);
        const label = `${name}-${look.label}`;
        await page.evaluate(() => Promise.all([...document.images].map((image) => image.decode().catch(() => {}))));
        await shot(page, label);
        const problems = await violations(page);
        if (problems.length) found.axe[label] = problems;
        const [width, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
        if (width > window) found.wide.push(`${label}: ${width}`);
        found.background[label] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      }
      await page.goto(url);
      await page.locator('#readme').scrollIntoViewIfNeeded();
      await shot(page, `readme-${look.label}`);
    }
    return found;
  },

  /** Sorting, filtering, keys, times, previews, theme. */
  async use(url, { open, shot }) {
    const found = {};
    const page = await open();
    await page.goto(url);
    found.names = await names(page);
    await follow(page, 'th a:text("Size")');
    found.bySize = await names(page);
    found.sort = await page.locator('th[aria-sort]').evaluateAll((all) => all.map((th) => `${th.textContent} ${th.ariaSort}`));
    await follow(page, 'th a:text("Size")');
    found.bySizeDown = await names(page);
    found.address = new URL(page.url()).search;
    found.sizes = await page.locator('tr:has(a[href="cover.png"]) td').evaluateAll((all) => [all[1].textContent, all[1].title]);
    found.time = await page.locator('tr:has(a[href="cover.png"]) time').evaluate((time) => [time.textContent, time.title, time.dateTime]);

    await page.goto(url);
    await page.keyboard.press('/');
    await page.keyboard.type('RE');
    found.filtered = await names(page);
    found.count = await page.textContent('#count');
    await shot(page, 'filter');
    await page.keyboard.press('ArrowDown');
    found.first = await focused(page);
    await page.keyboard.press('ArrowDown');
    found.second = await focused(page);
    await page.keyboard.press('ArrowUp');
    found.again = await focused(page);
    found.outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    await page.keyboard.press('/');
    await page.keyboard.press('Escape');
    found.unfiltered = (await names(page)).length;

    await follow(page, 'tr:has(a[href="notes.txt"]) .view');
    found.preview = [new URL(page.url()).pathname + new URL(page.url()).search, await page.textContent('pre code')];
    await page.keyboard.press('Backspace');
    await page.waitForURL(`${url}/`);
    await follow(page, 'a:text-is("src/")');
    await follow(page, 'a:text-is("deep/")');
    found.crumbs = await page.locator('nav li').evaluateAll((all) => all.map((li) => [li.textContent, li.querySelector('a')?.getAttribute('href') ?? null]));
    await page.keyboard.press('Backspace');
    await page.waitForURL(`${url}/src/`);
    await follow(page, 'nav a.home');

    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    found.theme = [await background()];
    await page.click('#theme');
    await page.click('#theme');
    found.theme.push(await background(), await page.getAttribute('#theme', 'aria-label'));
    await page.reload();
    found.theme.push(await background());
    await page.click('summary');
    await shot(page, 'menu');
    found.archives = await page.locator('details a').evaluateAll((all) => all.map((a) => a.getAttribute('href')));
    return found;
  },

  /** The grid: pictures are loaded when they are near, arrows go in both directions. */
  async grid(url, { open }) {
    const found = { loaded: [] };
    const page = await open();
    page.on('request', (request) => { if (request.resourceType() === 'image') found.loaded.push(new URL(request.url()).pathname); });
    await page.goto(`${url}/many/?view=grid`, { waitUntil: 'networkidle' });
    found.count = await page.locator('#list li').count();
    found.lazy = await page.locator('#list img').evaluateAll((all) => all.every((image) => image.loading === 'lazy' && image.decoding === 'async'));
    found.shown = await page.locator('#list img').first().evaluate((image) => image.naturalWidth);
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowRight');
    found.right = await focused(page);
    const columns = await page.locator('#list li').evaluateAll((all) => all.filter((li) => li.offsetTop === all[0].offsetTop).length);
    await page.keyboard.press('ArrowDown');
    found.down = (await focused(page)) === (await names(page))[1 + columns];
    await follow(page, '.as-list');
    found.table = await page.locator('table').count();
    return found;
  },

  /** No script at all: plain links do everything. */
  async plain(url, { open, shot }) {
    const found = {};
    const page = await open({ js: false });
    await page.goto(url);
    found.names = await names(page);
    await shot(page, 'no-script');
    await follow(page, 'th a:text("Size")');
    found.address = new URL(page.url()).search;
    await follow(page, '.as-grid');
    found.grid = await page.locator('ul.list li').count();
    await page.goto(url);
    await follow(page, 'tr:has(a[href="notes.txt"]) .view');
    found.preview = [new URL(page.url()).pathname + new URL(page.url()).search, await page.textContent('pre code')];
    await page.goto(`${url}/?view=grid`);
    await follow(page, 'li:has(a[href="notes.txt"]) .view');
    found.fromGrid = await page.textContent('pre code');
    await page.goto(url);
    await follow(page, 'a:text-is("src/")');
    await follow(page, 'a:text-is("deep/")');
    await follow(page, 'nav a:text-is("src")');
    found.back = new URL(page.url()).pathname;
    found.hidden = [await page.locator('#filter').isVisible(), await page.locator('#theme').isVisible()];
    await page.goto(`${url}/large/`);
    found.large = await page.locator('.list bdi a').count();
    found.time = await page.locator('time').first().textContent();
    return found;
  },

  /** Names that would like to be more than names: each is text and leads to its own file. */
  async hostile(url, { open, shot }) {
    const found = { shapes: [], follow: [] };
    for (const shape of ['', '?view=grid']) {
      const page = await open();
      await page.goto(`${url}/hostile/${shape}`);
      if (!shape) await shot(page, 'hostile');
      found.shapes.push({
        names: await names(page),
        foreign: await page.locator('#list').evaluate((list) => [...list.querySelectorAll('*')].map((element) => element.localName)
          .filter((name) => !['tr', 'td', 'li', 'bdi', 'a', 'time', 'div', 'p', 'span', 'img'].includes(name))),
        pictures: await page.locator('#list img').evaluateAll((all) => all.filter((image) => !image.closest('.pic')).length),
        isolated: await page.locator('#list bdi').count(),
      });
      for (const link of await page.locator('#list bdi a').evaluateAll((all) => all.map((a) => a.href))) {
        const answer = await page.request.get(link);
        found.follow.push([answer.status(), await answer.text()]);
      }
      await page.goto(`${url}/hostile/README.md?view`);
      found.readme = await page.locator('main').evaluate((main) =>
        [...main.querySelectorAll('script, iframe, object, img[src*=":"], [onerror], [onclick], [style], a[href^="javascript" i]')].length);
    }
    return found;
  },

  /** A folder of 10,000: what is far away is built when one comes near, and found at once by the filter. */
  async large(url, { open }) {
    const found = {};
    const page = await open();
    await page.goto(`${url}/large/`);
    found.first = await page.locator('#list tr').count();
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    await page.waitForFunction((count) => document.querySelectorAll('#list tr').length > count, found.first);
    found.scrolled = await page.locator('#list tr').count();
    await page.fill('#filter', 'file-09876');
    found.filtered = await names(page);
    found.count = await page.textContent('#count');
    await page.fill('#filter', '');
    found.reset = await page.locator('#list tr').count();
    return found;
  },
};
