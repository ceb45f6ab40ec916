// The page's font for drawings that leave the page.
import address from '@fontsource-variable/inter/files/inter-latin-wght-normal.woff2?url';
import { dataAddress } from './download';

/** A style element that holds the font; empty where it cannot be had, and the fallbacks serve. */
export async function fontStyle(): Promise<string> {
  const font = await dataAddress(address);
  return font
    ? `<style>@font-face{font-family:Inter;font-weight:100 900;src:url(${font}) format('woff2')}</style>`
    : '';
}
