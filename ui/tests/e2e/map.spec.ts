import { expect, test } from './site';

test('an image of the map shows its picture; an outline counts the images it holds', async ({
  site,
  page,
}) => {
  await site.open('class=s01&points=images&colour=accuracy');
  await expect(site.map.locator('.legend')).toContainText(/Accuracy\s+\d.*%.*\d.*%/);
  const map = site.map.getByRole('application');
  await map.focus();
  for (const key of ['ArrowLeft', 'ArrowUp', 'ArrowRight', 'ArrowDown'])
    await page.keyboard.press(key);
  const card = site.map.locator('.card');
  await expect(card.getByText(/, (predicted right|taken for \w+), \d+ %$/)).toBeVisible();
  await expect(card.locator('strong')).toHaveText(/\.\w+$/);
  await expect(card.locator('.picture')).toHaveCSS('background-image', /media\/sheet\/\d+\.jpg/);
  // A click selects its class and says which image it was.
  await page.keyboard.press('Enter');
  const stage = await map.boundingBox();
  if (!stage) throw new Error('no box');
  await page.mouse.move(stage.x + stage.width + 300, stage.y + 300);
  await expect(card.locator('strong')).toHaveText(/\.\w+$/);
  const label = ((await card.locator('.numbers').textContent()) ?? '').trim().split(',')[0];
  await expect(site.title).toHaveText(label ?? '');

  await site.outlineMap();
  await expect(site.classes.getByText('96 images of 8 classes chosen')).toBeVisible();
  await expect(site.classes.locator('.each')).toHaveText(/^\w+ 12, \w+ 12, /);
});

test('colour and size stand in the link, with a legend; lines lead to the most alike', async ({
  site,
  page,
}) => {
  await site.open('class=s01');
  const lines = site.map.locator('svg line');
  const legend = site.map.locator('.legend');
  await expect(legend).toContainText(/most alike, \d\.\d\d to \d\.\d\d/);
  expect(await lines.count()).toBeGreaterThan(0);
  await site.map.getByRole('button', { name: /^Points: kind/ }).click();
  await site.map.getByRole('radio', { name: 'Accuracy' }).check();
  await site.map.getByRole('checkbox', { name: 'Size by images' }).check();
  expect(await site.hash()).toBe('#class=s01&colour=accuracy&size=images');
  await page.reload();
  await site.ready();
  await expect(legend).toContainText(/Accuracy\s+\d.*%.*\d.*%\s+12\s+images/);
  // Of channels there is no accuracy: no colour, and no lines.
  await site.map.getByRole('button', { name: /^Points: kind/ }).click();
  await site.map.getByRole('radio', { name: 'Channels of the layer' }).check();
  await expect(site.map.getByRole('radio', { name: 'No colour' })).toBeChecked();
  await expect(lines).toHaveCount(0);
});

test('the card stands by its point and leaves its label free', async ({ site }) => {
  await site.open('class=s01');
  for (const name of ['square', 'rows', 'slope']) {
    await site.classes.getByRole('button', { name: new RegExp(`^${name}`) }).hover();
    const card = await site.map.locator('.card').boundingBox();
    const label = await site.map.locator('svg').getByText(name, { exact: true }).boundingBox();
    if (!card || !label) throw new Error('no box');
    const between = (a0: number, a1: number, b0: number, b1: number) => Math.max(a0 - b1, b0 - a1);
    const across = between(card.x, card.x + card.width, label.x, label.x + label.width);
    const along = between(card.y, card.y + card.height, label.y, label.y + label.height);
    expect(Math.max(across, along), name).toBeGreaterThanOrEqual(0);
    expect(Math.max(across, along), name).toBeLessThan(40);
  }
});

test('the layer slider names the layer pointed at', async ({ site, page }) => {
  await site.open('class=s01');
  const slider = await site.map.getByRole('slider', { name: 'Layer' }).boundingBox();
  if (!slider) throw new Error('no box');
  await expect(site.map.getByText('4 of 4')).toBeVisible();
  await page.mouse.move(slider.x + 8, slider.y + slider.height / 2);
  await expect(site.map.locator('.tip')).toHaveText('block0');
  await page.mouse.down();
  await page.mouse.up();
  await expect(site.map.getByText('1 of 4')).toBeVisible();
  expect(await site.hash()).toContain('layer=block0');
});
