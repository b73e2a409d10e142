// Drives Chromium: `node browse.mjs URL LINK…` opens URL, clicks the first link with each text in turn, and prints what it
// saw as JSON: title, text and errors of every page, and the status of everything that was loaded.
import { close, follow, open } from '../chromium.mjs';

const context = await open();
try {
  const [url, ...links] = process.argv.slice(2);
  const page = await context.newPage();
  const loaded = [];
  const pages = [];
  page.on('response', (response) => loaded.push([response.status(), new URL(response.url()).pathname]));
  page.on('requestfailed', (request) => loaded.push([0, `${request.url()} ${request.failure()?.errorText}`]));
  const look = async () => pages.push({ title: await page.title(), text: await page.innerText('body') });
  await page.goto(url, { waitUntil: 'load' });
  await look();
  for (const text of links) {
    await follow(page, `a:has-text(${JSON.stringify(text)})`);
    await look();
  }
  console.log(JSON.stringify({ pages, loaded }));
} finally {
  await close(context);
}
