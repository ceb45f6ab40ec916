// The panel beside the graph, and the table in its place.
import { expect, test } from './site';

test('a channel leads to the other classes that use it, and stays pinned', async ({
  site,
  page,
}) => {
  await site.open('class=s01');
  await site.node(/^block3, channel .*[1-9] outgoing/).press('Enter');
  const panel = page.getByRole('complementary', { name: /^Channel / });
  const name = (await panel.getAttribute('aria-label')) ?? '';
  const pinned = /&node=.*$/.exec(await site.hash())?.[0] ?? 'none';
  const classes = panel.getByRole('list', { name: 'Classes where it is a top channel' });
  const others = classes.getByRole('button').filter({ hasNotText: 'disc' });
  await expect(others.first()).toBeVisible();
  for (let place = 0; place < (await others.count()); place++) {
    await page.goto(`./#class=s01${pinned}`);
    await site.ready();
    const other = (await others.nth(place).textContent()) ?? '';
    await others.nth(place).click();
    await expect(site.title).toHaveText(other);
    await site.ready();
    await expect(page.getByRole('complementary', { name, exact: true })).toBeVisible();
    expect(await site.hash()).toContain(pinned);
    // One step back, not two.
    await page.goBack();
    await expect(site.title).toHaveText('disc');
  }
  // A class whose graph lacks the channel says so.
  await site.open('class=s01&node=block3/relu:1');
  const absent = site.graph.getByText('Not in this graph.');
  for (const key of ['s02', 's03', 's04', 's05', 's06', 's07', 's08']) {
    if (await absent.isVisible()) break;
    await page.goto(`./#class=${key}&node=block3/relu:1`);
    await site.ready();
  }
  await expect(absent).toBeVisible();
  await expect(panel.getByRole('heading', { name: 'Channel 1', exact: true })).toBeVisible();
});

test('the table is sorted by any of its columns', async ({ site, page }) => {
  await site.open('class=s01');
  await page.getByRole('button', { name: 'Graph as a table' }).click();
  const head = page.getByRole('columnheader', { name: 'Channel', exact: true });
  const numbers = async () => {
    const cells = await site.graph.locator('tbody td:nth-child(2)').allTextContents();
    return cells.map(Number);
  };
  const before = await numbers();
  await expect(head).toHaveAttribute('aria-sort', 'none');
  await head.getByRole('button').click();
  await expect(head).toHaveAttribute('aria-sort', 'descending');
  expect(await numbers()).toEqual([...before].sort((l, r) => r - l));
  await head.getByRole('button').press('Enter');
  await expect(head).toHaveAttribute('aria-sort', 'ascending');
  expect(await numbers()).toEqual([...before].sort((l, r) => l - r));
  await head.getByRole('button').press('Enter');
  expect(await numbers()).toEqual(before);
  // Numbers stand under their column's name.
  const [over, under] = await Promise.all([
    head.getByRole('button').boundingBox(),
    site.graph.locator('tbody td:nth-child(2) button').first().boundingBox(),
  ]);
  if (!over || !under) throw new Error('no box');
  expect(Math.abs(over.x + over.width - under.x - under.width)).toBeLessThan(1);
});

test('numbers of channels and intervals are never cut', async ({ site, page }) => {
  await page.setViewportSize({ width: 1024, height: 700 });
  // The longest there are.
  await page.route('**/graphs/**', async (route) => {
    const graph = await (await route.fetch()).json();
    for (const edge of [...graph.edges, ...graph.logit_edges])
      edge.effect = { mean: -0.00063, interval: [-0.00091, -0.00036] };
    await route.fulfill({ json: graph });
  });
  await site.open('class=s02&measure=flow');
  await site.node(/^block1, channel/).press('Enter');
  const panel = page.getByRole('complementary');
  const end = panel.getByText(/^Channel \d+$/).and(panel.locator('li span'));
  await expect(end.first()).toBeVisible();
  const cut = await panel.locator('li span, li small').evaluateAll((all) =>
    all
      .filter((element) => /^(Channel \d+|\[.*\])$/.test(element.textContent?.trim() ?? ''))
      .map((element) => [element.textContent, element.scrollWidth - element.clientWidth] as const)
      .filter(([, over]) => over > 0),
  );
  expect(cut).toEqual([]);
});
