// What is drawn: canvases hold ink where they should, and none where they should not.
import { type Page, expect, test } from './site';

/** Share of pixels of a canvas that are not empty, in a box relative to it. */
function ink(page: Page, selector: string, box = { x: 0, y: 0, width: 1, height: 1 }) {
  return page.evaluate(
    ([selector, box]) => {
      const canvas = document.querySelector<HTMLCanvasElement>(selector);
      const context = canvas?.getContext('2d');
      if (!canvas || !context) return -1;
      const { data } = context.getImageData(
        Math.round(box.x * canvas.width),
        Math.round(box.y * canvas.height),
        Math.round(box.width * canvas.width),
        Math.round(box.height * canvas.height),
      );
      let filled = 0;
      for (let place = 3; place < data.length; place += 4) if ((data[place] ?? 0) > 20) filled++;
      return filled / (data.length / 4);
    },
    [selector, box] as const,
  );
}

// Reading pixels back is this file's doing.
const READBACK = /willReadFrequently/;

const GRAPH = '[aria-label="Attribution graph"] canvas';
const MAP = '[aria-label="Map of classes"] canvas';

test('edges and points are drawn, and follow filter and zoom', async ({ site, page }) => {
  site.expected = [READBACK];
  await site.open('class=s01');
  const all = await ink(page, GRAPH);
  expect(all).toBeGreaterThan(0.001);
  expect(all).toBeLessThan(0.4);
  expect(await ink(page, MAP)).toBeGreaterThan(0.0005);
  // Nothing above the class.
  expect(await ink(page, GRAPH, { x: 0, y: 0, width: 1, height: 0.02 })).toBe(0);
  await site.graph.getByRole('slider', { name: 'Edges' }).fill('0.2');
  await expect.poll(() => ink(page, GRAPH)).toBeLessThan(all);
  await site.graph.getByRole('slider', { name: 'Edges' }).fill('0');
  await expect.poll(() => ink(page, GRAPH)).toBe(0);
});

test('a hovered node brings its edges out', async ({ site, page }) => {
  site.expected = [READBACK];
  await site.open('class=s01');
  const faint = () =>
    page.evaluate((selector) => {
      const canvas = document.querySelector<HTMLCanvasElement>(selector);
      const context = canvas?.getContext('2d');
      if (!canvas || !context) return -1;
      const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
      let strong = 0;
      for (let place = 3; place < data.length; place += 4) if (data[place] === 255) strong++;
      return strong;
    }, `${GRAPH} + canvas`);
  expect(await faint()).toBe(0);
  await site.node(/^block3, channel .*[1-9] incoming/).focus();
  await expect.poll(faint).toBeGreaterThan(50);
});

test('the drawing fits its place in every window, without overlap of nodes', async ({
  site,
  page,
}) => {
  for (const viewport of [
    { width: 1440, height: 900 },
    { width: 1024, height: 700 },
    { width: 1920, height: 1080 },
  ]) {
    await page.setViewportSize(viewport);
    await site.open('class=s04');
    const boxes = await site.graph.locator('[data-node] .back').evaluateAll((all) =>
      all.map((element) => {
        const { left, top, right, bottom } = element.getBoundingClientRect();
        return { left, top, right, bottom };
      }),
    );
    expect(boxes.length).toBeGreaterThan(3);
    for (const [index, a] of boxes.entries()) {
      expect(a.right).toBeLessThanOrEqual(viewport.width);
      expect(a.bottom).toBeLessThanOrEqual(viewport.height);
      for (const b of boxes.slice(index + 1)) {
        const apart =
          a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
        expect(apart).toBe(true);
      }
    }
  }
});

test('dark colours are remembered', async ({ site, page }) => {
  await site.open();
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await background();
  await page.getByRole('button', { name: /Colours follow the system/ }).click();
  await page.getByRole('button', { name: /Light colours/ }).click();
  await expect.poll(background).not.toBe(light);
  await page.reload();
  await site.ready();
  expect(await background()).not.toBe(light);
});
