import { expect, test } from './site';

test('a tour is offered once', async ({ site, browser, baseURL }) => {
  // A page without the memory every other test starts with.
  const page = await browser.newPage(baseURL ? { baseURL } : {});
  await page.goto('./');
  await page.getByRole('button', { name: 'Show me round' }).click();
  const card = page.getByRole('dialog');
  for (const title of ['Map of classes', 'Classes', 'Attribution graph', 'Errors']) {
    await expect(card.getByRole('heading', { name: title, exact: true })).toBeVisible();
    await page.keyboard.press('Enter');
  }
  await expect(card).toHaveCount(0);
  await page.reload();
  await expect(page.getByRole('region', { name: 'Attribution graph' })).toBeVisible();
  await expect(page.getByRole('button', { name: 'Show me round' })).toHaveCount(0);
  await page.close();
  await site.open();
});

test('every view says how to read it', async ({ site, page }) => {
  await site.open('class=s01');
  for (const name of ['Map of classes', 'Attribution graph']) {
    await page.getByRole('button', { name: `How to read this: ${name}` }).click();
    await expect(page.getByRole('dialog').getByRole('heading', { name })).toBeInViewport();
    await page.keyboard.press('Escape');
  }
  await page.getByRole('button', { name: 'Help', exact: true }).click();
  await expect(page.getByRole('dialog').getByText('PageRank', { exact: true })).toBeVisible();
});

test('channels are given names, which are found and saved', async ({ site, page }, info) => {
  await site.open('class=s01&node=block3/relu:1');
  const panel = page.getByRole('complementary');
  await expect(panel.getByRole('heading', { name: 'Channel 1', exact: true })).toBeVisible();
  const field = panel.getByRole('textbox', { name: 'Name of this channel' });
  if (info.project.name === 'export') {
    await expect(field).toHaveCount(0);
    return;
  }
  const node = await site.node(/, channel/).getAttribute('aria-label');
  const [, layer, channel] = /^(.*), channel (\d+),/.exec(node ?? '') ?? [];
  await site.open(`class=s01&node=${layer}/relu:${channel}`);
  await field.fill('round things');
  await field.press('Enter');
  await expect(site.graph.locator('text.number', { hasText: 'round things' })).toBeVisible();
  await page.reload();
  await site.search.fill('round');
  await page.getByRole('button', { name: `round things ${layer} ${channel}` }).click();
  await expect(
    panel.getByRole('heading', { name: `Channel ${channel}`, exact: true }),
  ).toBeVisible();
  await field.fill('');
  await field.press('Enter');
  await expect(site.graph.locator('text.number', { hasText: 'round things' })).toHaveCount(0);
});
