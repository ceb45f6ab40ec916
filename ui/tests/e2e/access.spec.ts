import AxeBuilder from '@axe-core/playwright';
import { expect, test } from './site';

const VIEWS: [string, string][] = [
  ['graph', 'class=s01'],
  ['signed graph', 'class=s02&measure=flow'],
  ['channel', ''],
  ['compare', 'class=s01&compare=s03'],
  ['errors', 'view=errors&cell=s01,s03'],
];

for (const scheme of ['light', 'dark'] as const) {
  for (const [name, fragment] of VIEWS) {
    test(`${name}, ${scheme}: no violation of WCAG 2.2 AA`, async ({ site, page }) => {
      await page.emulateMedia({ colorScheme: scheme });
      await site.open(fragment);
      if (name === 'channel') {
        const node = await site.node(/channel/).boundingBox();
        if (!node) throw new Error('no box');
        await page.mouse.click(node.x + node.width / 2, node.y + node.height / 2);
        await expect(page.getByRole('complementary')).toBeVisible();
      }
      const results = await new AxeBuilder({ page })
        .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'])
        .analyze();
      const found = results.violations.map(
        ({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`,
      );
      expect(found).toEqual([]);
    });
  }
}

test('tables stand in for graph and map', async ({ site, page }) => {
  await site.open('class=s01');
  await page.getByRole('button', { name: 'Graph as a table' }).click();
  await page.getByRole('button', { name: 'Map as a table' }).click();
  const rows = site.graph.getByRole('row');
  expect(await rows.count()).toBeGreaterThan(4);
  const results = await new AxeBuilder({ page })
    .withTags(['wcag2a', 'wcag2aa', 'wcag22aa'])
    .analyze();
  expect(results.violations.map(({ id }) => id)).toEqual([]);
});
