// From class to class: the graph first, and nothing that is of the class before.
import { expect, test } from './site';

test('the graph is painted before its new pictures and its neighbours are asked for', async ({
  site,
  page,
}) => {
  await site.open('class=s01');
  await page.waitForLoadState('networkidle');
  const drawn = await page.evaluate(() => {
    performance.clearResourceTimings();
    location.hash = '#class=s05';
    return performance.getEntriesByName('summit:graph').length;
  });
  await expect(site.classes.getByText(/^alike \d/).first()).toBeVisible();
  await page.waitForLoadState('networkidle');
  const [painted, asked] = await page.evaluate((drawn) => {
    const files = performance.getEntriesByType('resource');
    const of = (part: string) =>
      files.filter(({ name }) => name.includes(part)).map(({ startTime }) => startTime);
    return [
      performance.getEntriesByName('summit:graph')[drawn]?.startTime ?? Infinity,
      { similarity: of('/similarity/'), pictures: of('/media/top/'), graphs: of('/graphs/') },
    ] as const;
  }, drawn);
  expect(asked.similarity).toHaveLength(1);
  expect(asked.pictures.length).toBeGreaterThan(0);
  expect(Math.min(...asked.similarity, ...asked.pictures)).toBeGreaterThanOrEqual(painted);
  expect(Math.max(...asked.graphs)).toBeLessThan(painted);
  // And all of them come.
  const shown = site.graph.locator('[data-node].channel image');
  await expect(shown).toHaveCount(await site.graph.locator('[data-node].channel').count());
});

test('how alike classes are is not told of the class before', async ({ site, page }) => {
  await site.open('class=s01');
  const alike = site.classes.getByText(/^alike \d/);
  await expect(alike.first()).toBeVisible();
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  await page.route('**/similarity/*.json', async (route) => {
    await held;
    await route.continue();
  });
  const first = await site.classes.locator('li[data-place="0"]').textContent();
  await page.evaluate(() => (location.hash = '#class=s05'));
  await expect(site.title).toHaveText('rows');
  await expect(site.graph.getByRole('button', { name: /^Class rows/ })).toBeVisible();
  await expect(alike).toHaveCount(0);
  release();
  await expect(alike.first()).toBeVisible();
  expect(await site.classes.locator('li[data-place="0"]').textContent()).not.toBe(first);
});
