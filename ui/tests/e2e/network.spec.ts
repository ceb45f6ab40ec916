// What is asked of the network: served runs answer it, exported ones do not offer it.
import { readdir } from 'node:fs/promises';
import { expect, test } from './site';

test('a photo is looked at, and shows its way', async ({ site, page }, info) => {
  await site.open('class=s03');
  const button = page.getByRole('button', { name: 'Look at a photo' });
  if (info.project.name === 'export') {
    await expect(button).toHaveCount(0);
    return;
  }
  site.expected = [/400/];
  const folder = `${process.env.SUMMIT_FIXTURE ?? '../target/ui-fixture'}/images/s05`;
  const [name = ''] = (await readdir(folder)).sort();
  await page.getByLabel('Photo', { exact: true }).setInputFiles(`${folder}/${name}`);
  const panel = page.getByRole('complementary', { name: 'Photograph' });
  await expect(panel.getByRole('heading', { name })).toBeVisible();
  await expect(panel.getByText('Taken for')).toBeVisible();
  const taken = await panel.getByRole('listitem').first().getByRole('button').textContent();
  await expect(site.title).toHaveText(taken?.trim() ?? '');
  await site.ready();
  expect(await site.graph.locator('[data-node].near').count()).toBeGreaterThan(1);
  await expect(
    panel.getByText(`carry half of each layer's score for ${taken?.trim()}.`),
  ).toContainText(/^\s*\d+ channels/);
  await page.keyboard.press('Escape');
  await expect(panel).toHaveCount(0);
  // Dropped, and no image at all.
  const text = await page.evaluateHandle(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(['no image'], 'notes.txt'));
    return transfer;
  });
  await page.dispatchEvent('body', 'drop', { dataTransfer: text });
  const complaint = page.getByText(/the photograph cannot be read/);
  await expect(complaint).toBeVisible();
  // What was wrong with it is not said of the next.
  await page.getByLabel('Photo', { exact: true }).setInputFiles(`${folder}/${name}`);
  await expect(panel.getByRole('heading', { name })).toBeVisible();
  await expect(complaint).toHaveCount(0);
});

test('a channel is muted, and what becomes of the class is told', async ({ site, page }, info) => {
  await site.open('class=s04');
  await site.node(/^block3, channel /).press('Enter');
  const choices = page.getByRole('group', { name: 'Change the channel' });
  if (info.project.name === 'export') {
    await expect(page.getByRole('complementary')).toBeVisible();
    await expect(choices).toHaveCount(0);
    return;
  }
  await choices.getByRole('button', { name: 'Mute' }).click();
  await expect(choices.getByRole('button', { name: 'Mute' })).toHaveAttribute(
    'aria-pressed',
    'true',
  );
  const row = page.getByRole('row', { name: /^Other classes/ });
  await expect(row).toContainText(/ of \d+/);
  await expect(page.getByText(/^Tried on \d+ images of the run/)).toBeVisible();
  // An answer belongs to its channel.
  await page.keyboard.press('Escape');
  await site.node(/^block2, channel /).press('Enter');
  await expect(choices).toBeVisible();
  await expect(row).toHaveCount(0);
});
