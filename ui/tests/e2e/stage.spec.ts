// The graph's stage: what is in view, what closes up, what a highlight brings.
import { readFileSync } from 'node:fs';
import { type Page, expect, test } from './site';

const scale = (page: Page) =>
  page
    .locator('.stage svg > g')
    .first()
    .evaluate((element) =>
      Number(/scale\(([\d.]+)\)/.exec(element.getAttribute('transform') ?? '')?.[1]),
    );

/** Boxes on the screen, of those elements that are in the stage's view. */
function boxes(page: Page, selector: string) {
  return page.evaluate((selector) => {
    const stage = document.querySelector('[role="application"][aria-label^="Graph"]');
    const view = stage?.getBoundingClientRect();
    if (!view) return [];
    return [...document.querySelectorAll(selector)]
      .map((element) => element.getBoundingClientRect())
      .filter((box) => box.right > view.left && box.left < view.right)
      .filter((box) => box.bottom > view.top && box.top < view.bottom)
      .map(({ left, top, right, bottom }) => ({ left, top, right, bottom }));
  }, selector);
}

const NODES = '[data-node] .frame, [data-node] .name';

test('zoom has limits, something is always in view, another class is fitted', async ({
  site,
  page,
}) => {
  await site.open('class=s01');
  const home = await scale(page);
  const stage = await page.getByRole('application', { name: /^Graph/ }).boundingBox();
  if (!stage) throw new Error('no stage');
  await page.mouse.move(stage.x + stage.width - 20, stage.y + 20);
  for (let turn = 0; turn < 15; turn++) await page.mouse.wheel(0, 500);
  await expect.poll(() => scale(page)).toBeLessThan(home);
  expect(await scale(page)).toBeGreaterThan(0.75 * home);
  for (let turn = 0; turn < 15; turn++) await page.mouse.wheel(0, -500);
  await expect.poll(() => scale(page)).toBeGreaterThan(3);
  expect((await boxes(page, NODES)).length).toBeGreaterThan(0);
  for (const [x, y] of [
    [stage.width - 10, stage.height - 10],
    [10, 10],
  ] as const) {
    const [cx, cy] = [stage.x + stage.width / 2, stage.y + stage.height / 2];
    for (let drag = 0; drag < 6; drag++) {
      // Between nodes the drawing is dragged.
      await page.mouse.move(cx + drag, cy + drag);
      await page.mouse.down();
      await page.mouse.move(stage.x + x, stage.y + y, { steps: 3 });
      await page.mouse.up();
    }
    expect((await boxes(page, NODES)).length).toBeGreaterThan(0);
  }
  await site.classes.getByRole('button', { name: /^ring/ }).click();
  await expect.poll(() => scale(page)).toBeLessThan(1.5);
  const all = await page.locator(NODES).count();
  await expect.poll(async () => (await boxes(page, NODES)).length).toBe(all);
});

test('hidden layers close up', async ({ site, page }) => {
  await site.open('class=s01');
  const rows = site.graph.locator('.rows .row');
  const tops = () => rows.evaluateAll((all) => all.map((row) => row.getBoundingClientRect().top));
  const before = await tops();
  await page.getByRole('button', { name: 'Layers shown' }).click();
  await site.graph.getByRole('checkbox', { name: 'block2' }).uncheck();
  await expect(site.graph.getByText('No edges run across a hidden layer.')).toBeVisible();
  await expect(rows).toHaveCount(before.length - 1);
  const after = (await tops()).sort((l, r) => l - r);
  const steps = after.slice(1).map((top, place) => top - (after[place] ?? 0));
  expect(Math.max(...steps) - Math.min(...steps)).toBeLessThan(1.5);
});

test('the channels left say so, and clicks mark no text', async ({ site, page }) => {
  await site.open('class=s01');
  await site.graph.getByRole('slider', { name: 'Channels' }).fill('0.05');
  const drawn = await page.locator('[data-node].channel').count();
  const said = await site.graph.locator('.rows .row small').allTextContents();
  expect(said.reduce((sum, text) => sum + Number(text.split(' of ')[0]), 0)).toBe(drawn);
  await site.title.click();
  await page
    .locator('[data-node] .frame')
    .first()
    .click({ force: true, modifiers: ['Shift'] });
  expect(await page.evaluate(() => getSelection()?.toString())).toBe('');
});

test('a highlight brings its key, and its card covers none of it', async ({ site, page }) => {
  await site.open('class=s01&measure=conv-max');
  const legend = page.getByRole('list', { name: 'Legend' });
  await expect(legend.getByText('from below')).toBeHidden();
  await site.node(/^block3, channel .*[1-9] incoming/).focus();
  await expect(legend.getByText('from below')).toBeVisible();
  const [card] = await boxes(page, '.card');
  if (!card) throw new Error('no card');
  const near = await boxes(page, '[data-node].near .frame, [data-node].near .name');
  expect(near.length).toBeGreaterThan(1);
  for (const box of near) {
    const apart =
      box.right <= card.left ||
      card.right <= box.left ||
      box.bottom <= card.top ||
      card.bottom <= box.top;
    expect(apart).toBe(true);
  }
});

test('a saved drawing says what it is of, in the fonts of the page', async ({ site, page }) => {
  await site.open('class=s02');
  await site.graph.getByRole('button', { name: 'Save what is shown' }).click();
  const [file] = await Promise.all([
    page.waitForEvent('download'),
    site.graph.getByRole('button', { name: 'Drawing (SVG)' }).click(),
  ]);
  const text = readFileSync(await file.path(), 'utf8');
  expect(text).toContain('@font-face{font-family:Inter;font-weight:100 900;src:url(data:');
  for (const part of [/>Measure (flow|lrp) · /, />width:</, />supports</, />\d+ of \d+</])
    expect(text).toMatch(part);
});
