// What every browser test starts from: a page that must neither complain nor ask elsewhere.
import { type Page, expect, test as base } from '@playwright/test';

export class Site {
  readonly problems: string[] = [];
  /** What a test provokes on purpose. */
  expected: RegExp[] = [];

  constructor(readonly page: Page) {
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) this.problems.push(message.text());
    });
    page.on('pageerror', (error) => this.problems.push(error.message));
  }

  async open(fragment = '') {
    await this.page.goto(fragment ? `./#${fragment}` : './');
    await this.ready();
  }

  async ready() {
    const views = this.page.locator('[data-ready]');
    await expect(views.first()).toBeAttached();
    await expect(this.page.locator('[data-ready="false"]')).toHaveCount(0);
  }

  get graph() {
    return this.page.getByRole('region', { name: 'Attribution graph' });
  }

  get map() {
    return this.page.getByRole('region', { name: 'Map of classes' });
  }

  get classes() {
    return this.page.getByRole('region', { name: 'Classes', exact: true });
  }

  get search() {
    return this.page.getByRole('searchbox', { name: /Search classes/ });
  }

  /** The title of the graph: the selected class. */
  get title() {
    return this.graph.getByRole('heading').first();
  }

  node(pattern: RegExp) {
    return this.graph.getByRole('button', { name: pattern }).first();
  }

  /** Draws an outline round the whole map. */
  async outlineMap() {
    const { page } = this;
    const stage = await this.map.getByRole('application').boundingBox();
    if (!stage) throw new Error('no box');
    await page.getByRole('button', { name: 'Choose classes by an outline' }).click();
    const move = (x: number, y: number) =>
      page.mouse.move(stage.x + 1 + x * (stage.width - 2), stage.y + 1 + y * (stage.height - 2));
    await move(0, 0);
    await page.mouse.down();
    await move(1, 0);
    await move(1, 1);
    await move(0, 1);
    await page.mouse.up();
  }

  async hash() {
    return this.page.evaluate(() => location.hash);
  }
}

export const test = base.extend<{ site: Site }>({
  site: [
    async ({ page, baseURL }, use) => {
      const site = new Site(page);
      const origin = new URL(baseURL ?? '').origin;
      const foreign: string[] = [];
      // The tour's offer is its own test's.
      await page.addInitScript(() => {
        if (location.protocol !== 'about:') localStorage.setItem('summit-tour', 'seen');
      });
      page.on('request', (request) => {
        const url = request.url();
        if (!url.startsWith(origin) && !/^(data|blob):/.test(url)) foreign.push(url);
      });
      await use(site);
      expect(foreign, 'requests to other origins').toEqual([]);
      const left = site.problems.filter((text) => !site.expected.some((known) => known.test(text)));
      expect(left, 'errors on the console').toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };
export type { Page };
