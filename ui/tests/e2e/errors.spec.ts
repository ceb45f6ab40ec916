import { expect, test } from './site';

test('a class chosen among the errors shows its own', async ({ site, page }) => {
  await site.open('class=s01&view=errors');
  const errors = page.getByRole('region', { name: 'Errors' });
  const first = errors.locator('tbody tr').first();
  const label = ((await first.locator('td').first().textContent()) ?? '').trim();
  const pairs = await errors.locator('tbody tr').count();
  await site.search.fill(label);
  await site.search.press('Enter');
  await expect(errors.getByRole('heading', { name: `Confusions of ${label}` })).toBeVisible();
  await expect(
    errors.getByRole('heading', { name: new RegExp(`^\\d+ images? of ${label} predicted wrong`) }),
  ).toBeVisible();
  await expect(errors.locator('svg text.selected').first()).toHaveText(label);
  const labels = await errors.locator('tbody tr td:first-child').allTextContents();
  expect(new Set(labels.map((text) => text.trim()))).toEqual(new Set([label]));
  expect(await site.hash()).toMatch(/view=errors&cell=s0\d%2Cwrong$/);
  // All the errors of the row, told apart by prediction; each leads to its cell.
  await errors.locator('.groups .link').first().click();
  await expect(errors.getByRole('heading', { name: /taken for/ })).toBeVisible();
  await expect(errors.locator('tbody tr')).toHaveCount(pairs);
  // The name of a row does the same.
  const name = await errors.locator('svg text.selected').first().boundingBox();
  if (!name) throw new Error('no name');
  await page.mouse.click(name.x + name.width / 2, name.y + name.height / 2);
  await expect(errors.getByRole('heading', { name: `Confusions of ${label}` })).toBeVisible();
  await errors.getByRole('button', { name: 'Graph', exact: true }).click();
  expect(await site.hash()).toContain('part=wrong');
});
