import { defineConfig } from '@playwright/test';

// `ui/test` makes the fixture and says where things are.
const site = process.env.SUMMIT_FIXTURE ?? '../target/ui-fixture';
const summit = process.env.SUMMIT_BIN ?? '../target/debug/summit';
const scale = process.env.SUMMIT_SCALE ?? '../target/ui-scale';
/** The first of three. */
const port = Number(process.env.SUMMIT_PORT ?? 8651);
const SERVE = `http://127.0.0.1:${port}/`;
const EXPORT = `http://127.0.0.1:${port + 1}/some/where/`;
const SCALE = `http://127.0.0.1:${port + 2}/`;

const launch = {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    // A graphics card made of software is slower than none; `card` has one.
    '--disable-3d-apis',
    '--no-sandbox',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--font-render-hinting=none',
    '--force-color-profile=srgb',
  ],
};

export default defineConfig({
  testDir: 'tests/e2e',
  outputDir: 'test-results',
  workers: 1,
  timeout: 30_000,
  expect: { timeout: 10_000 },
  reporter: [['list'], ['./tests/e2e/summary.mjs']],
  use: {
    viewport: { width: 1440, height: 900 },
    trace: 'retain-on-failure',
    screenshot: 'only-on-failure',
    contextOptions: { reducedMotion: 'reduce' },
    launchOptions: launch,
  },
  projects: [
    { name: 'serve', use: { baseURL: SERVE }, testIgnore: ['scale/**', 'card/**'] },
    {
      name: 'export',
      use: { baseURL: EXPORT },
      testIgnore: ['scale/**', 'card/**', 'live/**'],
    },
    {
      name: 'scale',
      // Recording would be measured too.
      use: { baseURL: SCALE, trace: 'off', screenshot: 'off' },
      testMatch: 'scale/**/*.spec.ts',
    },
    {
      name: 'card',
      use: {
        baseURL: SCALE,
        launchOptions: {
          ...launch,
          args: [...launch.args.slice(1), '--enable-unsafe-swiftshader'],
        },
      },
      testMatch: 'card/**/*.spec.ts',
    },
  ],
  webServer: [
    { command: `${summit} serve ${site}/run --port ${port}`, url: SERVE },
    { command: `${summit} serve ${scale} --port ${port + 2}`, url: SCALE },
    {
      command: `node tests/e2e/plain_server.mjs ${site}/site ${port + 1} /some/where/`,
      url: EXPORT,
    },
  ],
});
