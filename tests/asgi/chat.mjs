// Two pages of Chromium in one room: `node chat.mjs URL WORDS LIST` prints, as JSON, what each of them saw said. WORDS and LIST are
// selectors of the text field of a form, and of what was said; the page's WebSocket is its global `socket`.
import { close, open } from '../chromium.mjs';

// The certificate of a test vouches for itself.
const context = await open({ ignoreHTTPSErrors: true }, '--ignore-certificate-errors');
try {
  const [url, words, list] = process.argv.slice(2);
  const pages = [];
  for (const _ of ['one', 'other']) {
    const page = await context.newPage();
    const opened = page.waitForEvent('websocket');
    await page.goto(url);
    await opened;
    await page.waitForFunction(() => socket.readyState === WebSocket.OPEN);
    pages.push(page);
  }
  const said = ['grüß dich', '<b>hello</b>'];
  for (const [at, page] of pages.entries()) {
    await page.fill(words, said[at]);
    await page.press(words, 'Enter');
    // In the order in which it was said.
    for (const each of pages) await each.waitForFunction(
      ([list, count]) => document.querySelectorAll(`${list} li`).length === count, [list, at + 1]);
  }
  const seen = [];
  for (const page of pages) seen.push(await page.locator(`${list} li`).allInnerTexts());
  console.log(JSON.stringify(seen));
} finally {
  await close(context);
}
