// The hash of everything the interface is built from, the same as crates/site/src/assets.rs computes:
// `--write` records it beside the assets.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';

const root = fileURLToPath(new URL('..', import.meta.url));

function collect(path) {
  const full = join(root, path);
  return statSync(full).isDirectory()
    ? readdirSync(full).flatMap((name) => collect(`${path}/${name}`))
    : [path];
}

const files = [
  'src',
  'public',
  'index.html',
  'package-lock.json',
  'vite.config.ts',
  'tsconfig.json',
].flatMap(collect);
files.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
const hash = createHash('sha256');
for (const name of files) {
  const content = readFileSync(join(root, name));
  hash.update(`${name}\n${content.length}\n`);
  hash.update(content);
}
const digits = hash.digest('hex');
if (process.argv.includes('--write')) {
  writeFileSync(join(root, '../crates/site/assets/inputs.sha256'), `${digits}\n`);
} else {
  console.log(digits);
}
