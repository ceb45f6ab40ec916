// The dumbest file host: no compression, no ranges, no fallback, a sub-path.
// Usage: node plain_server.mjs FOLDER PORT PREFIX
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';

const [folder = '.', port = '8652', prefix = '/'] = process.argv.slice(2);
const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.jpg': 'image/jpeg',
  '.woff2': 'font/woff2',
};

createServer(async (request, response) => {
  const path = decodeURIComponent(new URL(request.url ?? '/', 'http://host').pathname);
  const name = path.slice(prefix.length) || 'index.html';
  try {
    if (!path.startsWith(prefix)) throw new Error('elsewhere');
    const content = await readFile(join(folder, normalize(`/${name}`)));
    response.writeHead(200, { 'content-type': TYPES[extname(name)] ?? 'application/octet-stream' });
    response.end(content);
  } catch {
    response.writeHead(404).end('not found');
  }
}).listen(Number(port), '127.0.0.1');
