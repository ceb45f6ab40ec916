import { expect, test } from './site';

test('the whole way without a mouse', async ({ site, page }) => {
  await site.open();
  await page.keyboard.press('/');
  await expect(site.search).toBeFocused();
  await page.keyboard.type('box');
  await page.keyboard.press('Enter');
  await expect(site.title).toHaveText('square');
  await site.ready();

  await page.keyboard.press('ArrowDown');
  const focused = page.locator(':focus');
  await expect(focused).toHaveAttribute('class', /choose/);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await expect(site.title).not.toHaveText('square');
  await site.ready();

  // Into the graph: one stop, then arrows.
  for (let stops = 0; stops < 60; stops++) {
    await page.keyboard.press('Tab');
    if (await focused.getAttribute('data-node')) break;
  }
  await expect(focused).toHaveAttribute('aria-label', /^Class /);
  await page.keyboard.press('ArrowDown');
  await expect(focused).toHaveAttribute('aria-label', /^block3, channel/);
  await page.keyboard.press('[');
  await expect(focused).toHaveAttribute('aria-label', /^block2/);
  await page.keyboard.press(']');
  await expect(focused).toHaveAttribute('aria-label', /^block3/);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('complementary')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('complementary')).toHaveCount(0);

  await page.keyboard.press('?');
  await expect(page.getByRole('dialog')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toBeHidden();
});

test('the map by arrow keys', async ({ site, page }) => {
  await site.open();
  const map = site.map.getByRole('application');
  await map.focus();
  const before = (await site.title.textContent()) ?? '';
  // Which way another class lies is the map's affair.
  const keys = ['ArrowLeft', 'ArrowUp', 'ArrowRight', 'ArrowDown'];
  let turn = 0;
  await expect(async () => {
    await page.keyboard.press(keys[turn++ % keys.length] ?? '');
    await page.keyboard.press('Enter');
    await expect(site.title).not.toHaveText(before, { timeout: 500 });
  }).toPass({ timeout: 8_000 });
});

test('the confusion matrix by arrow keys', async ({ site, page }) => {
  await site.open('view=errors');
  await page.getByRole('application', { name: /Confusion matrix/ }).focus();
  await page.keyboard.press('ArrowDown');
  await expect(page.getByText('disc predicted right:')).toBeVisible();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: /of disc predicted right/ })).toBeVisible();
});
