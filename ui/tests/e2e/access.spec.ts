import { readdir } from 'node:fs/promises';
import AxeBuilder from '@axe-core/playwright';
import { type Page, type Site, expect, test } from './site';

const LEVELS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa'];

/** What stands in the way of WCAG 2.2 AA. */
async function violations(page: Page) {
  const results = await new AxeBuilder({ page }).withTags(LEVELS).analyze();
  return results.violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`,
  );
}

interface State {
  name: string;
  fragment: string;
  /** From the link to the state. */
  then?: (site: Site, page: Page) => Promise<void>;
  /** Only where the run's network is at hand. */
  network?: boolean;
}

const panel = (page: Page, name: string | RegExp) =>
  expect(page.getByRole('complementary').getByRole('heading', { name }).first()).toBeVisible();

const STATES: State[] = [
  { name: 'graph', fragment: 'class=s01' },
  { name: 'signed graph', fragment: 'class=s02&measure=flow' },
  { name: 'compare', fragment: 'class=s01&compare=s03' },
  { name: 'errors', fragment: 'view=errors&cell=s01,s03' },
  { name: 'map of images', fragment: 'points=images' },
  {
    name: 'channel',
    fragment: 'class=s01',
    then: async (site, page) => {
      await site.node(/channel/).press('Enter');
      await panel(page, /^Channel/);
    },
  },
  {
    name: 'channel changed',
    fragment: 'class=s01',
    network: true,
    then: async (site, page) => {
      await site.node(/channel/).press('Enter');
      await page.getByRole('button', { name: 'Mute' }).click();
      await expect(page.getByText(/^Tried on \d+ images/)).toBeVisible();
    },
  },
  {
    name: 'edge',
    fragment: 'class=s01',
    then: async (site, page) => {
      const label = await site.node(/^block3, channel .*[1-9] outgoing/).getAttribute('aria-label');
      const [, channel = ''] = /channel (\d+)/.exec(label ?? '') ?? [];
      await site.open(`class=s01&node=block3/relu:${channel}:to:0`);
      await panel(page, /^To disc/);
    },
  },
  {
    name: 'photograph',
    fragment: 'class=s01',
    network: true,
    then: async (_, page) => {
      const folder = `${process.env.SUMMIT_FIXTURE ?? '../target/ui-fixture'}/images/s05`;
      const [name = ''] = (await readdir(folder)).sort();
      await page.getByLabel('Photo', { exact: true }).setInputFiles(`${folder}/${name}`);
      await panel(page, name);
    },
  },
  {
    name: 'picture',
    fragment: 'class=s01&node=block3/relu:1',
    then: async (_, page) => {
      const list = page.getByRole('list', { name: 'Images with the largest activation' });
      await list.getByRole('button').first().click();
      await expect(page.getByRole('dialog').getByText('Activation')).toBeVisible();
    },
  },
  {
    name: 'help',
    fragment: 'class=s01',
    then: async (_, page) => {
      await page.getByRole('button', { name: 'Help', exact: true }).click();
      await expect(page.getByRole('dialog')).toBeVisible();
    },
  },
  {
    name: 'tables for graph and map',
    fragment: 'class=s01',
    then: async (site, page) => {
      await page.getByRole('button', { name: 'Graph as a table' }).click();
      await page.getByRole('button', { name: 'Map as a table' }).click();
      expect(await site.graph.getByRole('row').count()).toBeGreaterThan(4);
    },
  },
];

const THEMES = {
  light: { colorScheme: 'light' },
  dark: { colorScheme: 'dark' },
  'high contrast': { colorScheme: 'light', contrast: 'more' },
  'dark, high contrast': { colorScheme: 'dark', contrast: 'more' },
} as const;

for (const [theme, media] of Object.entries(THEMES)) {
  test(`${theme}: no state of the page violates WCAG 2.2 AA`, async ({ site, page }, info) => {
    test.skip(
      theme !== 'light' && info.project.name === 'export',
      'the same page in the same colours as served',
    );
    test.setTimeout(180_000);
    await page.emulateMedia(media);
    for (const { name, fragment, then, network } of STATES) {
      if (network && info.project.name === 'export') continue;
      await test.step(name, async () => {
        await page.goto('about:blank');
        await site.open(fragment);
        await then?.(site, page);
        expect(await violations(page), name).toEqual([]);
      });
    }
  });
}
