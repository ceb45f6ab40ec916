// The built interface stays small: files, and bytes as a server sends them.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const assets = fileURLToPath(new URL('../../crates/site/assets', import.meta.url));
const KIB = 1024;
/** Most KiB after gzip; fonts are compressed already. */
const BUDGET = { 'app.js': 110, 'app.css': 12, 'inter.woff2': 48, 'index.html': 2, 'icon.svg': 1 };

let failed = false;
for (const name of readdirSync(assets)) {
  if (name === 'inputs.sha256') continue;
  const content = readFileSync(join(assets, name));
  const bytes = Math.min(content.length, gzipSync(content).length);
  const limit = BUDGET[name];
  const fits = limit !== undefined && bytes <= limit * KIB;
  failed ||= !fits;
  console.log(
    `${name}: ${(bytes / KIB).toFixed(1)} KiB of ${limit ?? 'no'} KiB${fits ? '' : '  OVER BUDGET'}`,
  );
}
process.exit(failed ? 1 : 0);
