// What is on the page can be had at every size, and with colours of the user's own.
import { type Page, expect, test } from './site';

const SIZES = [
  { width: 1024, height: 700 },
  // 1440x900 at 200 %.
  { width: 720, height: 450 },
  { width: 600, height: 500 },
  { width: 320, height: 640 },
];

/** Controls and names that stick out of the window, or whose text is cut without an ellipsis. */
const cut = (page: Page) =>
  page.evaluate(() => {
    const all = [...document.querySelectorAll<HTMLElement>('button, input, select, dd, h2')];
    return all.flatMap((element) => {
      const box = element.getBoundingClientRect();
      if (!element.checkVisibility({ visibilityProperty: true }) || box.width === 0) return [];
      const name = element.getAttribute('aria-label') ?? element.textContent?.trim() ?? '';
      const facts = element.closest('.facts')?.getBoundingClientRect();
      // Figures that do not fit are left out as a whole, below the header's edge.
      if (facts && box.top >= facts.bottom) return [];
      const out = box.left < -1 || box.right > innerWidth + 1;
      const within = facts && (box.right > facts.right + 1 || box.bottom > facts.bottom + 1);
      return out || within ? [name] : [];
    });
  });

for (const size of SIZES) {
  test(`nothing is cut at ${size.width} x ${size.height}`, async ({ site, page }) => {
    await page.setViewportSize(size);
    for (const fragment of ['class=s01', 'class=s02&view=errors']) {
      await site.open(fragment);
      expect(await cut(page), fragment).toEqual([]);
      const wide = await page
        .locator('main')
        .evaluate((main) => [main.scrollWidth - main.clientWidth, document.body.scrollWidth]);
      expect(wide, fragment).toEqual([0, size.width]);
    }
    await page.getByRole('button', { name: 'About the run' }).click();
    const menu = page.getByRole('banner').locator('.all dl');
    for (const text of ['Data set', 'Layers', 'Top-1']) {
      const box = await menu.getByText(text, { exact: true }).boundingBox();
      expect(box && box.x >= 0 && box.x + box.width <= size.width).toBe(true);
    }
  });
}

test('a panel in the place of map and list hides both whole', async ({ site, page }) => {
  await page.setViewportSize({ width: 1024, height: 700 });
  await site.open('class=s01&node=block2/relu:1');
  const panel = page.getByRole('complementary');
  await expect(panel).toBeVisible();
  await expect(page.getByRole('button', { name: 'Fit the map' })).toBeHidden();
  await expect(site.search).toBeHidden();
  const [box, header] = [await panel.boundingBox(), await page.getByRole('banner').boundingBox()];
  expect(box?.x).toBe(0);
  expect(box?.y).toBe((header?.y ?? 0) + (header?.height ?? 0));
  await page.keyboard.press('Escape');
  await expect(page.getByRole('button', { name: 'Fit the map' })).toBeVisible();
  await expect(site.search).toBeVisible();
});

test('sliders and swatches keep their ink under forced colours', async ({ site, page }) => {
  await page.emulateMedia({ forcedColors: 'active' });
  await site.open('class=s02&measure=flow');
  /** Share of dark pixels in the fullest row of a picture of it, or of its left end. */
  const ink = async (selector: string, left?: number) => {
    const box = await page.locator(selector).first().boundingBox();
    if (!box) throw new Error('no box');
    const shot = await page.screenshot({ clip: { ...box, width: left ?? box.width } });
    return page.evaluate(async (data) => {
      const image = new Image();
      image.src = `data:image/png;base64,${data}`;
      await image.decode();
      const { width, height } = image;
      const context = new OffscreenCanvas(width, height).getContext('2d');
      if (!context) return 0;
      context.drawImage(image, 0, 0);
      const bytes = context.getImageData(0, 0, width, height).data;
      const rows = Array.from({ length: height }, () => 0);
      for (let at = 0; at < width * height; at++)
        if ((bytes[4 * at] ?? 255) + (bytes[4 * at + 1] ?? 255) < 300)
          rows[Math.floor(at / width)] = (rows[Math.floor(at / width)] ?? 0) + 1;
      return Math.max(...rows) / width;
    }, shot.toString('base64'));
  };
  expect(await ink('input[aria-label="Layer"]')).toBeGreaterThan(0.9);
  expect(await ink('[aria-label="Legend"] .supports', 16)).toBeGreaterThan(0.9);
});
