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

test('the list of classes is one stop', async ({ site, page }) => {
  await site.open('class=s01');
  const list = site.classes.getByRole('list', { name: /classes$/ });
  const stops = list.locator('button[tabindex="0"]');
  await expect(stops).toHaveCount(1);
  const names = await list.locator('.name').allTextContents();
  await stops.focus();
  const focused = page.locator(':focus');
  for (let step = 1; step < 4; step++) {
    await page.keyboard.press('ArrowDown');
    await expect(focused.locator('.name')).toHaveText(names[step] ?? '');
  }
  await page.keyboard.press('ArrowRight');
  await expect(focused).toHaveAccessibleName(`Compare with ${names[3]}`);
  await page.keyboard.press('ArrowLeft');
  await expect(focused.locator('.name')).toHaveText(names[3] ?? '');
  // Tab leaves the list, and comes back to the same row.
  await page.keyboard.press('Tab');
  await expect(list.locator(':focus')).toHaveCount(0);
  await page.keyboard.press('Shift+Tab');
  await expect(focused.locator('.name')).toHaveText(names[3] ?? '');
  await page.keyboard.press((names[1] ?? ' ').charAt(0));
  await expect(focused.locator('.name')).toHaveText(
    new RegExp(`^${(names[1] ?? ' ').charAt(0)}`, 'i'),
  );
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
