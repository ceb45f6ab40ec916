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

  await page.getByRole('button', { name: 'Choose classes by an outline' }).click();
  await page.mouse.move(stage.x + 1, stage.y + 1);
  await page.mouse.down();
  for (const [x, y] of [
    [1, 0],
    [1, 1],
    [0, 1],
  ] as const)
    await page.mouse.move(
      stage.x + 1 + x * (stage.width - 2),
      stage.y + 1 + y * (stage.height - 2),
    );
  await page.mouse.up();
  await expect(site.classes.getByText('96 images of 8 classes chosen')).toBeVisible();
  await expect(site.classes.locator('.each')).toHaveText(/^\w+ 12, \w+ 12, /);
});
