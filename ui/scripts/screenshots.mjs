// Pictures of every view for the documentation, light and dark, in two window sizes:
// `summit serve RUN`, then `node scripts/screenshots.mjs http://127.0.0.1:8642/ ../docs/pictures`.
// The classes are those of the run's map: the first two, and the most frequent confusion.
// Further arguments, `NAME=FRAGMENT`, name single pictures instead, light and large: those of README.md and
// docs/tutorial.md are made by `scripts/demo-pictures`.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from '@playwright/test';

const [address, folder, ...single] = process.argv.slice(2);
if (!address || !folder) throw new Error('usage: node scripts/screenshots.mjs ADDRESS FOLDER');

const ONLY = single.length > 0;
const LARGE = { width: 1440, height: 900 };
const SIZES = ONLY ? [LARGE] : [LARGE, { width: 1024, height: 700 }];
const SCHEMES = ONLY ? ['light'] : ['light', 'dark'];

const json = async (path) => (await fetch(new URL(`bundle/${path}`, address))).json();
const [classes, confusion] = await Promise.all([json('classes.json'), json('confusion.json')]);
const key = (id) => classes.external_id[id] || String(id);
const present = classes.images.flatMap((images, id) => (images > 0 ? [id] : []));
const [first, second] = present.map(key);
const worst = confusion.images
  .map((images, place) => ({ images, cell: [confusion.label[place], confusion.prediction[place]] }))
  .filter(({ cell: [label, prediction] }) => label !== prediction)
  .sort((l, r) => r.images - l.images)[0];

/** Pins a channel of the upper layers. */
async function pin(page) {
  const nodes = page.getByRole('button', { name: /, channel / });
  await nodes.nth(Math.floor((await nodes.count()) * 0.7)).focus();
  await page.keyboard.press('Enter');
  await page.mouse.move(5, 5);
}

/** Name, address, and what is done before the picture is taken. */
const ALL_VIEWS = [
  ['graph', `class=${first}`],
  ['channel', `class=${first}`, pin],
  [
    'muted',
    `class=${first}`,
    async (page) => {
      await pin(page);
      await page.getByRole('button', { name: 'Mute' }).click();
      await page.getByText(/^Tried on/).waitFor();
      await page.getByRole('heading', { name: 'What if' }).scrollIntoViewIfNeeded();
      await page.getByText(/^Tried on/).scrollIntoViewIfNeeded();
    },
  ],
  ['compare', `class=${first}&compare=${second}`],
  ['right-wrong', `class=${first}&part=right&compare=${first}&comparepart=wrong`],
  ['images', `class=${first}&points=images`],
  ['errors', worst ? `view=errors&cell=${worst.cell.map(key).join(',')}` : 'view=errors'],
];
const VIEWS = ONLY ? single.map((view) => view.split(/=(.*)/s, 2)) : ALL_VIEWS;

mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--font-render-hinting=none', '--force-color-profile=srgb'],
});
for (const viewport of SIZES) {
  for (const colorScheme of SCHEMES) {
    for (const [name, fragment, act] of VIEWS) {
      const page = await browser.newPage({ viewport, colorScheme, reducedMotion: 'reduce' });
      await page.addInitScript(() => localStorage.setItem('summit-tour', 'seen'));
      await page.goto(new URL(`#${fragment}`, address).href);
      await page.waitForSelector('[data-ready="true"]', { state: 'attached' });
      await page.waitForFunction(() => !document.querySelector('[data-ready="false"]'));
      await act?.(page);
      await page.waitForLoadState('networkidle');
      const suffix = ONLY ? '' : `-${colorScheme}-${viewport.width}`;
      const file = `${name}${suffix}.jpg`;
      await page.screenshot({ path: join(folder, file), type: 'jpeg', quality: 78 });
      await page.close();
      console.log(file);
    }
  }
}
await browser.close();
