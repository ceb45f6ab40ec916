import { expect, test } from './site';

test('a graph is drawn by the best measure, and by another on request', async ({ site, page }) => {
  await site.open('class=s02');
  const measure = site.graph.getByRole('combobox', { name: 'Measure' });
  await expect(measure).toHaveValue(/^(flow|lrp)$/);
  expect(await measure.locator('option').allTextContents()).toHaveLength(3);
  const about = site.graph.getByLabel('About the graph');
  await expect(about.getByText('Bias share')).toBeVisible();
  await expect(site.graph.getByText('Not evaluated: summit evaluate RUN')).toBeVisible();
  const best = await measure.inputValue();
  await measure.selectOption('conv-max');
  expect(await site.hash()).toBe('#class=s02&measure=conv-max');
  await expect(about.getByText('Bias share')).toHaveCount(0);
  const legend = page.getByRole('list', { name: 'Legend' });
  await expect(legend.getByText(/width:\s+\d+ %\s+\d+ % of the images/)).toBeVisible();
  // Back to the best, which needs no word in the address.
  await page.goBack();
  await expect(measure).toHaveValue(best);
  await measure.selectOption('flow');
  await expect(legend.getByText(/width:\s+[\d.]+\s+[\d.]+\s+logits/)).toBeVisible();
});

test('signs have colours and words, and what opposes can be left out', async ({ site, page }) => {
  await site.open('class=s02&measure=flow');
  const edges = site.graph.getByText(/^\d+ of \d+$/).nth(1);
  const before = await edges.textContent();
  const legend = page.getByRole('list', { name: 'Legend' });
  await expect(legend.getByText('supports')).toBeVisible();
  await expect(legend.getByText('opposes')).toBeVisible();
  await site.graph.getByRole('checkbox', { name: 'Opposing edges' }).uncheck();
  expect(await site.hash()).toMatch(/opposing=hidden/);
  await expect(edges).not.toHaveText(before ?? '');
  await page.reload();
  await site.ready();
  await expect(site.graph.getByRole('checkbox', { name: 'Opposing edges' })).not.toBeChecked();
});

test('contributions and effects come with intervals, in logits', async ({ site, page }) => {
  await site.open('class=s02&measure=flow');
  await site.node(/^block1, channel/).focus();
  await page.keyboard.press('Enter');
  const panel = page.getByRole('complementary');
  await expect(panel.getByText('Contribution, logits')).toBeVisible();
  await expect(panel.getByText(/^[+−][\d.]+ \[[+−][\d.]+,\s[+−][\d.]+\]$/).first()).toBeVisible();
  await panel
    .getByRole('button', { name: /^Edge to Channel/ })
    .first()
    .click();
  const edge = page.getByRole('complementary', { name: 'Edge' });
  await expect(edge.getByText('Effect, logits')).toBeVisible();
  const counted = edge.getByText(/^in \d+ of 12 images$/);
  await expect(counted).toBeVisible();
  // Its own images, as many as it is counted in, up to eight.
  const images = edge.getByRole('list', { name: 'Images, the largest effect first' });
  const wanted = Math.min(8, Number(/\d+/.exec((await counted.textContent()) ?? '')?.[0]));
  await expect(images.getByRole('listitem')).toHaveCount(wanted);
  const effects = await images.getByRole('listitem').allTextContents();
  const sizes = effects.map((text) => Number(text.trim().replace('−', '-')));
  expect(sizes.every((size) => Math.abs(size) > 0)).toBe(true);
  expect(sizes).toEqual(sizes.toSorted((l, r) => Math.abs(r) - Math.abs(l)));
  await page.reload();
  await expect(edge.getByText('Effect, logits')).toBeVisible();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Graph as a table' }).click();
  await expect(page.getByRole('columnheader', { name: 'Contribution, logits' })).toBeVisible();
});

test('two classes are compared by a measure that both have', async ({ site }) => {
  await site.open('class=s02&compare=s08');
  const measure = site.graph.getByRole('combobox', { name: 'Measure' });
  await expect(measure).toHaveValue('flow');
  await site.open('class=s02&compare=s05');
  await expect(measure).toHaveValue('conv-max');
});

test('a measure that changes with the class is said where it stands', async ({ site }) => {
  await site.open('class=s02');
  const measure = site.graph.getByRole('combobox', { name: 'Measure' });
  const best = await measure.inputValue();
  const notice = site.graph.getByText(`no ${best} graph of`);
  await expect(notice).toHaveCount(0);
  await site.classes.getByRole('button', { name: /^slope/ }).click();
  await expect(notice).toBeVisible();
});
