// Drives Chromium through Django's admin: `node admin.mjs URL USER PASSWORD` prints what it saw as JSON. It is refused with a
// wrong password, logs in (with the CSRF token of the form), makes a group, changes it, finds it, removes it, and logs out.
import { close, follow, open } from '../chromium.mjs';

const context = await open();
try {
  const [url, user, password] = process.argv.slice(2);
  const page = await context.newPage();
  const seen = { loaded: [], messages: [] };
  page.on('response', (response) => seen.loaded.push([response.status(), new URL(response.url()).pathname]));
  page.on('requestfailed', (request) => seen.loaded.push([0, `${request.url()} ${request.failure()?.errorText}`]));
  page.on('console', (message) => seen.messages.push(`${message.type()}: ${message.text()}`));
  const login = async (word) => {
    await page.fill('#id_username', user);
    await page.fill('#id_password', word);
    await follow(page, 'input[type="submit"]');
  };
  await page.goto(`${url}/admin/auth/group/add/`);
  seen.sentTo = new URL(page.url()).pathname;
  seen.colour = await page.evaluate(() => getComputedStyle(document.querySelector('#header')).backgroundColor);
  await login('wrong');
  seen.refused = await page.innerText('.errornote');
  await login(password);
  seen.came = new URL(page.url()).pathname;
  await page.fill('#id_name', 'Gruppe ä');
  await follow(page, '[name="_continue"]');
  seen.made = await page.innerText('.success');
  await page.fill('#id_name', 'Gruppe ü');
  await follow(page, '[name="_save"]');
  seen.listed = await page.innerText('#result_list');
  await page.goto(`${url}/admin/auth/group/?q=ü`);
  seen.found = await page.innerText('#result_list');
  await page.check('#action-toggle');
  await page.selectOption('select[name="action"]', 'delete_selected');
  await follow(page, 'button[name="index"]');
  await follow(page, 'input[type="submit"]');
  seen.removed = await page.innerText('.success');
  seen.cookies = (await context.cookies()).map(({ name, httpOnly }) => [name, httpOnly]);
  await follow(page, '#logout-form button');
  seen.left = await page.innerText('#content');
  console.log(JSON.stringify(seen));
} finally {
  await close(context);
}
