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
  const field = panel.getByRole('combobox', { name: 'Name of this channel' });
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
  await expect(panel.getByRole('heading', { name: 'round things', exact: true })).toBeVisible();
  await expect(panel.getByText(`Channel ${channel}, ${layer}`)).toBeVisible();
  await expect(panel.getByText('Channels given the same name make a group.')).toBeVisible();
  // Another channel of that name makes a group with it.
  await site.open('class=s01&node=block3/relu:1');
  await expect(panel.locator('datalist option')).toHaveAttribute('value', 'round things');
  await field.fill('round things');
  await field.press('Enter');
  const group = panel.getByRole('list', { name: 'Group of 2 channels with this name' });
  await group.getByRole('button', { name: `${layer} ${channel}` }).click();
  await expect(panel.getByText(`Channel ${channel}, ${layer}`)).toBeVisible();
  await group.getByRole('button', { name: 'block3 1', exact: true }).click();
  await expect(panel.getByText('Channel 1, block3')).toBeVisible();
  await field.fill('');
  await field.press('Enter');
  await expect(panel.getByRole('heading', { name: 'Channel 1', exact: true })).toBeVisible();
  await site.open(`class=s01&node=${layer}/relu:${channel}`);
  await field.fill('');
  await field.press('Enter');
  await expect(site.graph.locator('text.number', { hasText: 'round things' })).toHaveCount(0);
});

test('feature visualisations take the place of crops, where there are any', async ({
  site,
  page,
}) => {
  await site.open('class=s01');
  const toggle = page.getByRole('button', { name: 'Feature visualisations' });
  await expect(toggle).toHaveCount(0);

  const [, channel = ''] =
    /channel (\d+),/.exec((await site.node(/^block3, channel/).getAttribute('aria-label')) ?? '') ??
    [];
  await page.route('**/bundle/manifest.json', async (route) => {
    const manifest = await (await route.fetch()).json();
    manifest.pictures.features = true;
    await route.fulfill({ json: manifest });
  });
  await page.route('**/bundle/features/*.json', (route) => {
    const own = route.request().url().endsWith('/3.json') ? [Number(channel)] : [];
    const column = <T>(value: T) => own.map(() => value);
    return route.fulfill({
      json: {
        schema_version: 1,
        channel: own,
        relative: column(1.5),
        naturalness: column(0.4),
        unnatural: column(true),
        detail: column(false),
      },
    });
  });
  await page.route('**/media/feature/**', (route) =>
    route.fulfill({
      contentType: 'image/svg+xml',
      body: '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    }),
  );
  await page.reload();
  await site.ready();
  await toggle.click();
  await expect(site.graph.locator('image[href*="/media/feature/3/"]')).toHaveCount(1);
  await expect(site.graph.locator('image[href*="/media/top/"]').first()).toBeAttached();
  expect(await site.hash()).toContain('pictures=features');
  await site.node(new RegExp(`^block3, channel ${channel},`)).focus();
  await page.keyboard.press('Enter');
  const panel = page.getByRole('complementary');
  await expect(panel.getByRole('img', { name: 'Feature visualisation' })).toBeVisible();
  await expect(panel.getByText('Excites it 150 % as much as its best image.')).toBeVisible();
  await expect(panel.getByText(/trust it less/)).toBeVisible();
});

test('a feature visualisation is drawn on request, where there is a server', async ({
  site,
  page,
}, info) => {
  await site.open('class=s01&node=block3/relu:1');
  const panel = page.getByRole('complementary');
  const button = panel.getByRole('button', { name: 'Draw a feature visualisation' });
  if (info.project.name === 'export') {
    await expect(panel.getByText('Classes where it is a top channel')).toBeVisible();
    await expect(button).toHaveCount(0);
    return;
  }
  let asked = '';
  await page.route('**/media/feature/3/1.jpg', (route) => {
    asked = route.request().method();
    return route.fulfill({ status: 202 });
  });
  await button.click();
  await expect(panel.getByRole('button', { name: 'Being drawn …' })).toBeDisabled();
  expect(asked).toBe('POST');
});

test('the best examples pass by under the pointer and by the keyboard', async ({ site, page }) => {
  await site.open('class=s01&node=block3/relu:1');
  const scrub = page.getByRole('slider', { name: /^Best examples/ });
  const at = (value: string) => expect(scrub).toHaveAttribute('aria-valuenow', value);
  const box = await scrub.boundingBox();
  if (!box) throw new Error('no box');
  const over = (share: number) =>
    page.mouse.move(box.x + share * box.width, box.y + box.height / 2);
  await at('0');
  await over(0.05);
  await expect(scrub).not.toHaveAttribute('aria-valuemax', '1');
  await over(0.06);
  await at('1');
  await over(0.97);
  await at((await scrub.getAttribute('aria-valuemax')) ?? '');
  await page.mouse.move(box.x - 60, box.y + 200);
  await at('0');
  await scrub.press('ArrowRight');
  await scrub.press('ArrowRight');
  await at('2');
});

test('what does not excite a channel is dimmed', async ({ site, page }) => {
  await site.open('class=s01&node=block3/relu:1');
  const list = page.getByRole('list', { name: 'Images with the largest activation' });
  await expect(list.getByRole('img').first()).toBeVisible();
  await expect(list.locator('svg')).toHaveCount(0);
  await page.getByRole('checkbox', { name: 'Show where it is active' }).check();
  await expect.poll(() => list.locator('svg').count()).toBeGreaterThan(3);
  expect(await list.locator('path').first().getAttribute('d')).toMatch(/^M\d \dh1v1h-1z/);
});
