// Whatever is wrong with the data is said, and the rest goes on.
import { expect, test } from './site';

test('a truncated graph', async ({ site, page }) => {
  await page.route('**/graphs/2.json', (route) =>
    route.fulfill({ body: '{"schema_version": 1, "nod' }),
  );
  await site.open('class=s03');
  await expect(site.graph.getByRole('alert')).toContainText(
    'damaged: it is no complete JSON (graphs/2.json)',
  );
  await site.classes.getByRole('button', { name: /^cross/ }).click();
  await expect(site.graph.getByRole('alert')).toHaveCount(0);
  await expect(site.graph.getByRole('button', { name: /^Class cross/ })).toBeVisible();
});

test('a graph with an edge to nowhere', async ({ site, page }) => {
  await page.route('**/graphs/2.json', async (route) => {
    const graph = await (await route.fetch()).json();
    graph.edges[0].from = 9999;
    await route.fulfill({ json: graph });
  });
  await site.open('class=s03');
  await expect(site.graph.getByRole('alert')).toContainText('an edge of the graph leads nowhere');
});

test('data of a newer version', async ({ page }) => {
  await page.route('**/bundle/manifest.json', (route) =>
    route.fulfill({ json: { schema_version: 99 } }),
  );
  await page.goto('./');
  await expect(page.getByRole('alert')).toContainText('made by a newer version of Summit');
});

test('pictures that cannot be had', async ({ site, page }) => {
  site.expected = [/404/];
  await page.route('**/media/**', (route) => route.fulfill({ status: 404, body: 'gone' }));
  await site.open('class=s01');
  await expect(site.graph.getByRole('button', { name: /^Class disc/ })).toBeVisible();
  await site.node(/channel/).focus();
  await expect(site.graph.getByText('The pictures cannot be read.')).toBeVisible();
  // Their places stay empty: no sign for broken pictures.
  await page.keyboard.press('Enter');
  await expect(page.getByRole('complementary')).toBeVisible();
  await expect(site.graph.locator('image:not([href^="data:"])')).toHaveCount(0);
  await expect(site.graph.locator('img:not([src^="data:"])')).toHaveCount(0);
});

test('a truncated list of what channels answer to', async ({ site, page }) => {
  await page.route('**/channels/3.json', (route) =>
    route.fulfill({ body: '{"schema_version": 1, "ima' }),
  );
  await site.open('class=s01&node=block3/relu:1');
  const panel = page.getByRole('complementary');
  await expect(panel.getByRole('alert')).toContainText(
    'damaged: it is no complete JSON (channels/3.json)',
  );
  await expect(panel.getByText('Their classes cannot be read.').first()).toBeVisible();
  await expect(
    panel
      .getByRole('list', { name: 'Images with the largest activation' })
      .getByRole('img')
      .first(),
  ).toBeVisible();
});

test('the server goes away and comes back', async ({ site, page, context }) => {
  site.expected = [/ERR_INTERNET_DISCONNECTED|ERR_CONNECTION/];
  await site.open('class=s01');
  await context.setOffline(true);
  await site.classes.getByRole('button', { name: /^slope/ }).click();
  await expect(site.graph.getByRole('alert')).toContainText('The server does not answer');
  await context.setOffline(false);
  await site.graph.getByRole('button', { name: 'Try again' }).click();
  await expect(site.graph.getByRole('button', { name: /^Class slope/ })).toBeVisible();
  await page.getByRole('button', { name: 'Errors' }).click();
  await expect(page.getByRole('region', { name: 'Errors' })).toBeVisible();
});

test('a class without influence in the map alone', async ({ site, page }) => {
  site.expected = [/404/];
  await page.route('**/similarity/*.json', (route) => route.fulfill({ status: 404 }));
  await page.route('**/embedding/*.json', (route) => route.fulfill({ status: 404 }));
  await page.goto('./#class=s01');
  await expect(site.map.getByRole('alert')).toContainText('The data have no such file');
  await expect(site.graph.getByRole('button', { name: /^Class disc/ })).toBeVisible();
});

test('how alike classes are cannot be had', async ({ site, page }) => {
  site.expected = [/404/];
  await page.route('**/similarity/0.json', (route) => route.fulfill({ status: 404 }));
  await site.open('class=s01');
  await expect(site.classes.getByText(/cannot be had; they stand by name/)).toBeVisible();
  await site.classes.getByRole('combobox', { name: 'Order' }).selectOption('Name');
  await expect(site.classes.getByText(/cannot be had/)).toHaveCount(0);
  await site.classes.getByRole('combobox', { name: 'Order' }).selectOption('Most alike');
  await site.classes.getByRole('button', { name: /^ring/ }).click();
  await expect(site.classes.getByText(/cannot be had/)).toHaveCount(0);
  await expect(site.classes.getByText(/^alike \d/).first()).toBeVisible();
});
