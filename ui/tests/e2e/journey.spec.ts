import { readFile } from 'node:fs/promises';
import { expect, test } from './site';

test('shows what the run is', async ({ site, page }) => {
  await site.open();
  const header = page.getByRole('banner');
  for (const text of ['Model', 'net', 'Classes', '8', 'Images', '96', 'Layers', '4', 'Skipped'])
    await expect(header.getByText(text, { exact: true }).first()).toBeVisible();
  await expect(site.title).toHaveText('disc');
});

test('search, select, hover, pin, filter, compare', async ({ site, page }) => {
  await site.open();
  await site.search.fill('chess');
  await site.search.press('Enter');
  await expect(site.title).toHaveText('checker');
  expect(await site.hash()).toBe('#class=s07');
  await site.ready();

  const node = site.node(/^block3, channel/);
  const box = await node.boundingBox();
  if (!box) throw new Error('no box');
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await expect(page.getByText(/top channel in \d+ of 12 images/)).toBeVisible();
  await page.mouse.down();
  await page.mouse.up();
  const panel = page.getByRole('complementary');
  await expect(panel.getByRole('heading', { name: /^Channel \d+$/ })).toBeVisible();
  await expect(panel.getByText('Classes where it is a top channel')).toBeVisible();
  await expect(panel.getByRole('img', { name: 'checker' }).first()).toBeVisible();
  expect(await site.hash()).toMatch(/^#class=s07&node=block3%2Frelu:\d+$/);
  await page.keyboard.press('Escape');
  await expect(panel).toHaveCount(0);

  const nodes = site.graph.locator('[data-node]');
  const before = await nodes.count();
  await site.graph.getByRole('slider', { name: 'Channels' }).fill('0.3');
  expect(await nodes.count()).toBeLessThan(before);
  await site.graph.getByRole('slider', { name: 'Channels' }).fill('1');
  await expect(nodes).toHaveCount(before);

  const row = site.classes.locator('li', { hasText: 'rows' });
  await row.hover();
  await row.getByRole('button', { name: 'Compare with rows' }).click();
  await expect(site.graph.getByRole('heading', { name: 'rows' })).toBeVisible();
  await expect(page.getByRole('list', { name: 'Legend' }).getByText('only checker')).toBeVisible();
  expect(await site.hash()).toBe('#class=s07&compare=s05');
  // In a wide window it is there by itself.
  const differences = page.getByRole('complementary', { name: 'What tells them apart' });
  await expect(differences.getByRole('heading', { name: 'block3' })).toBeVisible();
  const toggle = page.getByRole('button', { name: 'Differences' });
  await expect(toggle.getByText('Differences')).toBeVisible();
  await toggle.click();
  await expect(differences).toHaveCount(0);
  await toggle.click();
  await differences.getByRole('list').first().getByRole('button').first().click();
  await expect(
    page.getByRole('complementary').getByText('Classes where it is a top channel'),
  ).toBeVisible();
});

test('an edge shows both its ends and its images, a channel can be moved', async ({
  site,
  page,
}) => {
  await site.open('class=s01');
  const place = async (pattern: RegExp) => {
    const box = await site.node(pattern).locator('.back, .name').boundingBox();
    if (!box) throw new Error('no box');
    return { x: box.x + box.width / 2, y: box.y + box.height / 2, height: box.height };
  };
  // From the class straight down to its nearest channel runs an edge.
  await site.node(/^block3, channel .*[1-9] outgoing/).focus();
  const channel = await place(/^block3, channel .*[1-9] outgoing/);
  await page.mouse.move(channel.x, channel.y);
  await page.mouse.down();
  await page.mouse.move(channel.x + 30, channel.y + 20, { steps: 4 });
  await page.mouse.up();
  const moved = await place(/^block3, channel .*[1-9] outgoing/);
  expect(Math.abs(moved.x - channel.x - 30)).toBeLessThan(2);
  expect(await site.hash()).toBe('#class=s01');

  const top = await place(/^Class disc/);
  const panel = page.getByRole('complementary', { name: 'Edge' });
  // Upper end of that edge: above the channel, on its way to the class.
  for (let share = 0.1; share < 0.9 && (await panel.count()) === 0; share += 0.1) {
    const [y0, y1] = [moved.y - moved.height / 2, top.y + top.height / 2];
    const across = share * share * (3 - 2 * share);
    await page.mouse.click(moved.x + across * (top.x - moved.x), y0 + share * (y1 - y0));
    if (await panel.count()) break;
    await page.keyboard.press('Escape');
  }
  await expect(panel.getByRole('heading', { name: /^To disc/ })).toBeVisible();
  await expect(panel.getByRole('heading', { name: /^From block3, channel/ })).toBeVisible();
  await expect(panel.getByRole('img', { name: /s01\// }).first()).toBeVisible();
  expect(await site.hash()).toMatch(/^#class=s01&node=block3%2Frelu:\d+:to:0$/);
  await page.reload();
  await expect(panel.getByRole('heading', { name: /^To disc/ })).toBeVisible();
});

test('an outline chooses classes', async ({ site }) => {
  await site.open();
  await site.outlineMap();
  await expect(site.classes.getByText('8 of 8 classes chosen')).toBeVisible();
  expect(await site.hash()).toContain('group=s01%2Cs02%2C');
  await site.classes.getByRole('button', { name: 'Show all' }).click();
  expect(await site.hash()).not.toContain('group');
  await site.open('class=s02&group=s02,s05');
  await expect(site.classes.locator('ul .name')).toHaveText(['rows']);
});

test('back and forward', async ({ site, page }) => {
  await site.open();
  await site.classes.getByRole('button', { name: /^ring/ }).click();
  await expect(site.title).toHaveText('ring');
  await page.getByRole('button', { name: 'Errors' }).click();
  await expect(page.getByRole('region', { name: 'Errors' })).toBeVisible();
  await page.goBack();
  await expect(site.title).toHaveText('ring');
  await page.goForward();
  await expect(page.getByRole('region', { name: 'Errors' })).toBeVisible();
});

test('a deep link restores everything', async ({ site, page }) => {
  await site.open('class=s02&layer=block1/relu&node=block2/relu:1');
  await expect(site.title).toHaveText('square');
  await expect(site.map.getByText('block1', { exact: true })).toBeVisible();
  await site.open('class=s02&compare=s03');
  await expect(site.graph.getByRole('heading', { name: 'ring' })).toBeVisible();
  await site.open('class=nonsense&colour=red');
  await expect(
    page.getByText(/Not understood in this link: class “nonsense”; colour/),
  ).toBeVisible();
});

test('sliders, hidden layers and the table are in the link', async ({ site, page }) => {
  await site.open('class=s01');
  await site.graph.getByRole('slider', { name: 'Channels' }).fill('0.3');
  await site.graph.getByRole('slider', { name: 'Width' }).fill('1.4');
  expect(await site.hash()).toBe('#class=s01&channels=0.30&width=1.40');
  await site.graph.getByRole('button', { name: 'Layers shown' }).click();
  await site.graph.getByRole('checkbox', { name: 'block2' }).uncheck();
  expect(await site.hash()).toContain('&hide=block2%2Frelu');
  const nodes = site.graph.locator('[data-node]');
  const drawn = await nodes.count();
  const link = await site.hash();

  await page.goto('about:blank');
  await site.open(link.slice(1));
  await expect(nodes).toHaveCount(drawn);
  await expect(site.graph.getByRole('slider', { name: 'Width' })).toHaveValue('1.4');
  await site.graph.getByRole('button', { name: 'Graph as a table' }).click();
  expect(await site.hash()).toBe(`${link}&as=table`);
  await expect(site.graph.getByRole('table')).toBeVisible();
  await page.goBack();
  await expect(nodes).toHaveCount(drawn);
  await expect(site.graph.getByRole('table')).toHaveCount(0);
  // What is set stays from class to class.
  await site.classes.getByRole('button', { name: /^ring/ }).click();
  await expect.poll(() => site.hash()).toMatch(/^#class=s03&channels=0.30&width=1.40&hide=/);
});

test('the layer slider moves the map', async ({ site, page }) => {
  await site.open();
  const labels = () =>
    site.map.locator('svg text').evaluateAll((all) => all.map((text) => text.getAttribute('x')));
  const before = await labels();
  await site.map.getByRole('slider', { name: 'Layer' }).fill('0');
  await expect.poll(() => site.hash()).toContain('layer=block0');
  await site.ready();
  await expect.poll(labels).not.toEqual(before);
  await site.map.getByRole('button', { name: 'Map as a table' }).click();
  await expect(page.getByRole('cell', { name: 'disc' })).toBeVisible();
});

test('the graph of a class pointed at is fetched before it is chosen', async ({ site, page }) => {
  await site.open('class=s01');
  const asked: string[] = [];
  page.on('request', (request) => {
    if (/\/graphs\/\d+\.json$/.test(request.url())) asked.push(request.url());
  });
  const row = site.classes.locator('ul .name').getByText('ring', { exact: true });
  await row.hover();
  await expect.poll(() => asked.length).toBe(1);
  await row.click();
  await expect(site.title).toHaveText('ring');
  await site.ready();
  expect(asked.length, 'not again').toBe(1);
});

test('sorts and finds classes', async ({ site }) => {
  await site.open();
  await site.classes.getByRole('combobox', { name: 'Order' }).selectOption('Name');
  const names = await site.classes.locator('ul .name').allTextContents();
  expect(names).toEqual([...names].sort((l, r) => l.localeCompare(r, 'en')));
  expect(names).not.toContain('disc');
  await site.search.fill('STRIPES');
  await expect(site.classes.locator('ul .name')).toHaveText(['columns', 'rows', 'slope']);
  await site.search.fill('s03');
  await expect(site.classes.locator('ul .name')).toHaveText(['ring']);
  await site.search.fill('zebra');
  await expect(site.classes.getByText('No class fits “zebra”.')).toBeVisible();
});

test('errors lead to their graphs', async ({ site, page }) => {
  await site.open('view=errors');
  const errors = page.getByRole('region', { name: 'Errors' });
  await errors.locator('tbody .link').first().click();
  await expect(errors.getByRole('heading', { name: /\d+ images? of .* taken for/ })).toBeVisible();
  await expect(errors.getByRole('list').getByRole('img').first()).toBeVisible();
  await errors.getByRole('button', { name: 'Compare' }).click();
  await expect(
    page
      .getByRole('list', { name: 'Legend' })
      .getByText(/^only /)
      .first(),
  ).toBeVisible();
});

test('images predicted right and wrong are compared, and a cell with the right ones', async ({
  site,
  page,
}) => {
  await site.open('view=errors');
  const errors = page.getByRole('region', { name: 'Errors' });
  await errors.getByRole('table').getByRole('button').first().click();
  const label = await errors.getByRole('table').getByRole('button').first().textContent();
  await errors.getByRole('button', { name: 'With right' }).click();
  await site.ready();
  await expect(site.title).toHaveText(label?.trim() ?? '');
  expect(await site.hash()).toMatch(/part=right&compare=s0\d&comparepart=s0\d/);
  const legend = page.getByRole('list', { name: 'Legend' });
  await expect(legend.getByText(/^only .*, right$/)).toBeVisible();
  await expect(legend.getByText(/^only .* taken for /)).toBeVisible();
  await page.getByRole('button', { name: 'End the comparison' }).click();
  await page.getByRole('button', { name: 'Which images' }).click();
  await page.getByRole('radio', { name: /Predicted wrong/ }).check();
  await expect(site.graph.getByText('predicted wrong', { exact: true })).toBeVisible();
  await page.getByRole('button', { name: 'Compare right and wrong' }).click();
  await expect(legend.getByText(/^only .*, wrong$/)).toBeVisible();
});

test('a channel shows its next inputs, and the images behind it', async ({ site, page }) => {
  await site.open('class=s01');
  const nodes = site.graph.locator('[data-node]');
  const before = await nodes.count();
  await site.node(/^block3, channel/).focus();
  await page.keyboard.press('Enter');
  const panel = page.getByRole('complementary');
  await expect(
    panel.getByRole('heading', { name: 'Images of disc where it is a top channel' }),
  ).toBeVisible();
  await expect(panel.getByRole('img', { name: /s01\// }).first()).toBeVisible();
  await panel.getByRole('button', { name: 'Show the next inputs' }).click();
  await expect.poll(() => nodes.count()).toBeGreaterThan(before);
  // Every node has its own place.
  const places = await nodes.evaluateAll((all) =>
    all.map((element) => element.getAttribute('transform')),
  );
  expect(new Set(places).size).toBe(places.length);
});

test('channels and images are points too', async ({ site, page }) => {
  await site.open('class=s01');
  const map = site.map.getByRole('application');
  await site.map.getByRole('button', { name: /Points: kind/ }).click();
  await site.map.getByRole('radio', { name: 'Images', exact: true }).check();
  await expect(map).toHaveAccessibleName(/^96 images as points/);
  expect(await site.hash()).toBe('#class=s01&points=images');
  await site.map.getByRole('radio', { name: 'Channels of the layer' }).check();
  await expect(map).toHaveAccessibleName(/channels as points/);
  await site.map.getByRole('radio', { name: 'Use by the selected class' }).check();
  await page.keyboard.press('Escape');
  await map.focus();
  for (const key of ['ArrowLeft', 'ArrowUp', 'ArrowRight', 'ArrowDown'])
    await page.keyboard.press(key);
  await page.keyboard.press('Enter');
  await expect(
    page.getByRole('complementary').getByRole('heading', { name: /^Channel / }),
  ).toBeVisible();
  await page.goBack();
  await page.goBack();
  await expect(map).toHaveAccessibleName(/^96 images as points/);
});

test('saves what is shown', async ({ site, page }) => {
  await site.open();
  const save = async (name: RegExp) => {
    await page.getByRole('button', { name: 'Save what is shown' }).click();
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name }).click(),
    ]);
    return { name: file.suggestedFilename(), content: await readFile(await file.path()) };
  };
  const svg = await save(/SVG/);
  expect(svg.name).toBe('disc.svg');
  const text = svg.content.toString();
  expect(text).toContain('href="data:image/jpeg;base64,');
  expect(text.match(/<path /g)?.length).toBeGreaterThan(3);
  const png = await save(/PNG/);
  expect(png.content.subarray(1, 4).toString()).toBe('PNG');
  expect(png.content.length).toBeGreaterThan(5000);
  const csv = await save(/CSV/);
  expect(csv.content.toString()).toMatch(/^from_layer,from_channel,from_name,to_layer,to,/);
  const json = JSON.parse((await save(/JSON/)).content.toString());
  expect(json.groups[0].name).toBe('disc');
});

test('twenty quick switches end on the last class', async ({ site, page }) => {
  await site.open();
  await page.evaluate(() => {
    for (let turn = 0; turn < 20; turn++) location.hash = `#class=s0${(turn % 8) + 1}`;
    location.hash = '#class=s06';
  });
  await expect(site.title).toHaveText('columns');
  await site.ready();
  await expect(site.graph.getByRole('button', { name: /^Class columns/ })).toBeVisible();
});
