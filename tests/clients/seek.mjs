// Drives Chromium: `node seek.mjs draw COUNT` prints noisy pictures as WebP data URLs, one a line;
// `node seek.mjs seek URL` plays the film behind URL, seeks twice, and prints what it saw as JSON.
import { close, open } from '../chromium.mjs';

const context = await open({}, '--autoplay-policy=no-user-gesture-required');
try {
  const [verb, argument] = process.argv.slice(2);
  const page = await context.newPage();
  if (verb === 'draw') {
    for (const url of await page.evaluate(draw, Number(argument))) console.log(url);
  } else {
    const statuses = [];
    page.on('response', (response) => statuses.push([response.status(), response.headers()['content-range'] ?? '']));
    await page.goto(new URL('.', argument).href);
    const seen = await page.evaluate(seek, argument);
    console.log(JSON.stringify({ ...seen, statuses }));
  }
} finally {
  await close(context);
}

function draw(count) {
  const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 480 });
  const pen = canvas.getContext('2d');
  const urls = [];
  for (let n = 0; n < count; n++) {
    const picture = pen.createImageData(640, 480);
    for (let i = 0; i < picture.data.length; i++) picture.data[i] = i % 4 === 3 ? 255 : Math.random() * 256;
    pen.putImageData(picture, 0, 0);
    urls.push(canvas.toDataURL('image/webp', 0.8));
  }
  return urls;
}

async function seek(url) {
  const video = document.createElement('video');
  const event = (name) => new Promise((done, failed) => {
    video.addEventListener(name, done, { once: true });
    video.addEventListener('error', () => failed(new Error(video.error.message)), { once: true });
  });
  const ready = event('loadeddata');
  video.muted = true;
  video.preload = 'metadata';
  video.src = url;
  document.body.append(video);
  await ready;
  const times = [];
  for (const part of [0.9, 0.5]) {
    const sought = event('seeked');
    video.currentTime = video.duration * part;
    await sought;
    times.push(video.currentTime / video.duration);
  }
  return { duration: video.duration, width: video.videoWidth, times };
}
