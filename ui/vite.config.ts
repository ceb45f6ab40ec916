import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

const SERVER = process.env.SUMMIT_SERVER ?? 'http://127.0.0.1:8642';

// Names without hashes: the program embeds a fixed list, and ETags do the caching.
export default defineConfig({
  base: './',
  plugins: [svelte()],
  build: {
    outDir: '../crates/site/assets',
    emptyOutDir: false,
    target: 'es2022',
    modulePreload: false,
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    rollupOptions: {
      output: {
        entryFileNames: 'app.js',
        assetFileNames: (asset) =>
          asset.names.some((name) => name.endsWith('.css'))
            ? 'app.css'
            : asset.names.some((name) => name.endsWith('.woff2'))
              ? 'inter.woff2'
              : '[name][extname]',
      },
    },
  },
  server: { proxy: { '/bundle': SERVER, '/events': SERVER } },
  resolve: process.env.VITEST ? { conditions: ['browser'] } : {},
  test: {
    include: ['tests/unit/**/*.test.ts'],
    environment: 'happy-dom',
  },
});
