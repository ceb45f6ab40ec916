// Pictures open larger, wherever they stand in a list.
import { expect, test } from './site';

test('an example opens larger, with its mask, and gives the focus back', async ({ site, page }) => {
  await site.open('class=s01&node=block3/relu:1');
  const list = page.getByRole('list', { name: 'Images with the largest activation' });
  const tiles = list.getByRole('button');
  await tiles.nth(1).click();
  const dialog = page.getByRole('dialog', { name: 'Images with the largest activation' });
  await expect(dialog.getByRole('heading')).toHaveText(/^2 of \d+$/);
  const small = await tiles.nth(1).boundingBox();
  const large = await dialog.getByRole('img').boundingBox();
  expect(large?.width ?? 0).toBeGreaterThan(4 * (small?.width ?? Infinity));
  await expect(dialog.getByText('Activation')).toBeVisible();
  await page.keyboard.press('ArrowLeft');
  await expect(dialog.getByRole('heading')).toHaveText(/^1 of/);
  await page.keyboard.press('ArrowLeft');
  await expect(dialog.getByRole('heading')).toHaveText(/^1 of/);
  await dialog.getByRole('checkbox', { name: 'Show where it is active' }).check();
  await expect(dialog.getByRole('img').locator('path')).toHaveCount(1);
  await page.keyboard.press('Escape');
  await expect(dialog).toHaveCount(0);
  await expect(tiles.nth(0)).toBeFocused();
  // Escape belonged to the dialog alone: the channel is still pinned.
  expect(await site.hash()).toContain('node=block3');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  await expect(dialog.getByRole('heading')).toHaveText(/^2 of/);
  await page.mouse.click(5, 5);
  await expect(dialog).toHaveCount(0);
});

test('an image behind a channel and an error say what is known of them', async ({ site, page }) => {
  await site.open('class=s01');
  await site.node(/^block3, channel .*[1-9] outgoing/).press('Enter');
  const panel = page.getByRole('complementary');
  await expect(panel.getByText(/by margin in logits, the largest first/)).toBeVisible();
  const images = panel.getByRole('list', { name: 'Images, the largest margin first' });
  const margins = (await images.locator('small').allTextContents()).map((text) =>
    Number(text.replace('−', '-')),
  );
  expect(margins.length).toBeGreaterThan(1);
  expect(margins).toEqual([...margins].sort((l, r) => r - l));

  await site.open('view=errors');
  const errors = page.getByRole('region', { name: 'Errors' });
  await errors.getByRole('table').getByRole('button').first().click();
  await errors
    .getByRole('list', { name: /margin first$/ })
    .getByRole('button')
    .first()
    .click();
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByRole('definition').nth(1)).toHaveText(/, [\d.]+ %$/);
  await expect(dialog.getByText(/^−[\d.]+ logits$/)).toBeVisible();
  await expect(dialog.getByText(/^s0\d\//)).toBeVisible();
});
