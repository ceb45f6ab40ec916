// Makes a site of the size nothing real has yet, to measure the interface on:
// `node scripts/synthetic.mjs FOLDER`, then `summit serve FOLDER`. The same bytes on every machine,
// pictures aside, which are the browser's JPEGs.
//
// 1,000 classes, 12 layers of 512 channels; graphs like those of a large network (70 channels, 300
// edges), but class 0's has 5,000 channels and 30,000 edges; 50,000 images as points of the last layer.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from '@playwright/test';

const folder = process.argv[2];
if (!folder) throw new Error('usage: node scripts/synthetic.mjs FOLDER');

const CLASSES = 1000;
const LAYERS = 12;
const CHANNELS = 512;
const IMAGES = 50;
const POINTS = 50_000;
const LARGE = { nodes: 5000, edges: 30000 };
const ORDINARY = { nodes: 70, edges: 300 };
const VERSION = { schema_version: 1 };

let state = 1;
const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
const whole = (below) => Math.floor(random() * below);
const list = (length, of) => Array.from({ length }, (_, index) => of(index));

function write(path, value) {
  const file = join(folder, 'bundle', path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, Buffer.isBuffer(value) ? value : JSON.stringify(value));
}

const layers = list(LAYERS, (layer) => ({
  name: `stage${layer}/relu`,
  short: `stage${layer}`,
  channels: CHANNELS,
  size: [14, 14],
  signed: false,
  receptive_size: [8 * (layer + 1), 8 * (layer + 1)],
}));
const nameOf = (id) => `class ${id}`;

function manifest() {
  return {
    ...VERSION,
    bundle_id: '00000000000a11ce',
    data_set: 'synthetic',
    model: {
      name: 'synthetic.onnx',
      sha256: '0'.repeat(64),
      input_shape: [3, 224, 224],
      classes: CLASSES,
    },
    images: {
      listed: CLASSES * IMAGES,
      done: CLASSES * IMAGES,
      skipped: 0,
      labelled: CLASSES * IMAGES,
      correct: Math.round(CLASSES * IMAGES * 0.7),
    },
    groups: CLASSES,
    measures: ['conv-max'],
    top_rule: { mass: 0.03 },
    faithfulness: [],
    network: false,
    draws: false,
    layers,
    pictures: {
      overview_tile: 32,
      overview_columns: 32,
      top_side: 96,
      detail_tile: 96,
      sheet_tile: 64,
      sheet_columns: 10,
      sheet_images: 200,
      features: false,
      masks: false,
    },
    skipped: [],
  };
}

function classes() {
  const ids = list(CLASSES, (id) => id);
  const correct = ids.map(() => 15 + whole(35));
  return {
    ...VERSION,
    external_id: ids.map((id) => `n${String(id).padStart(8, '0')}`),
    name: ids.map(nameOf),
    synonyms: ids.map(() => []),
    images: ids.map(() => IMAGES),
    labelled: ids.map(() => IMAGES),
    correct,
    predicted: ids.map(() => IMAGES),
    histogram: ids.map(() => list(20, () => whole(6))),
    confused_with: ids.map((id) => [[(id + 1) % CLASSES, 1 + whole(9)]]),
    measures: ids.map(() => ['conv-max']),
  };
}

/** Points in heaps, in the shape of an embedding file. */
function heaps(count) {
  const centres = list(40, () => [random() * 10, random() * 10]);
  const points = list(count, () => {
    const [x, y] = centres[whole(centres.length)];
    return [x + random() + random() - 1, y + random() + random() - 1];
  });
  const rounded = (axis) => points.map((point) => Number(point[axis].toFixed(3)));
  return {
    ...VERSION,
    method: 'synthetic',
    id: list(count, (id) => id),
    x: rounded(0),
    y: rounded(1),
  };
}

function graph(id, size) {
  const perLayer = Math.ceil(size.nodes / LAYERS);
  const nodes = [];
  const rows = list(LAYERS, (layer) => {
    const chosen = new Set();
    while (chosen.size < Math.min(perLayer, size.nodes - layer * perLayer))
      chosen.add(perLayer > CHANNELS / 2 ? chosen.size : whole(CHANNELS));
    return [...chosen].map((channel, place) => {
      const count = 1 + whole(IMAGES);
      nodes.push({
        layer,
        channel,
        count,
        pagerank: random() / perLayer,
        in_edges: 0,
        out_edges: 0,
        x: place,
      });
      return nodes.length - 1;
    });
  });
  const pairs = new Map();
  while (pairs.size < size.edges) {
    const layer = whole(LAYERS - 1);
    const [from, to] = [rows[layer], rows[layer + 1]].map((row) => row[whole(row.length)]);
    pairs.set(`${from}>${to}`, { from, to, influence: 1 + whole(IMAGES), kind: 'unsigned' });
  }
  return {
    ...VERSION,
    group: { name: nameOf(id), images: IMAGES },
    measure: 'conv-max',
    parameters: { top_rule: { mass: 0.03 }, start_threshold: 0.075, relaxation_rounds: 0 },
    layers: layers.map(({ name, channels }) => ({ name, channels, threshold: 0.075 })),
    nodes,
    edges: [...pairs.values()],
    classes: [{ class: id, name: nameOf(id), x: perLayer / 2 }],
    logit_edges: (rows[LAYERS - 1] ?? []).map((from) => ({
      from,
      to: 0,
      influence: 1 + whole(IMAGES),
      kind: 'unsigned',
    })),
  };
}

const similarity = () => ({
  ...VERSION,
  class: list(CLASSES, (id) => id),
  permille: list(LAYERS, () => list(CLASSES, () => whole(1000))),
});

const channels = () => ({
  ...VERSION,
  images: list(CHANNELS, () => whole(CLASSES * IMAGES)),
  classes: list(CHANNELS, () => list(8, () => [whole(CLASSES), 1 + whole(IMAGES)])),
  examples: list(CHANNELS, () => ({
    class: list(10, () => whole(CLASSES)),
    value: list(10, () => Number(random().toFixed(3))),
  })),
});

/** Tiles of many colours as a JPEG, made by the browser. */
async function tiles(page, columns, rows, side) {
  await page.setViewportSize({ width: columns * side, height: rows * side });
  await page.evaluate(
    ([columns, rows, side]) => {
      document.body.style.margin = '0';
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [columns * side, rows * side];
      canvas.style.display = 'block';
      document.body.replaceChildren(canvas);
      const context = canvas.getContext('2d');
      for (let tile = 0; tile < columns * rows; tile++) {
        const [x, y] = [(tile % columns) * side, Math.floor(tile / columns) * side];
        const shade = context.createLinearGradient(x, y, x + side, y + side);
        shade.addColorStop(0, `hsl(${(tile * 47) % 360} 60% 70%)`);
        shade.addColorStop(1, `hsl(${(tile * 91) % 360} 60% 30%)`);
        context.fillStyle = shade;
        context.fillRect(x, y, side, side);
      }
    },
    [columns, rows, side],
  );
  return page.screenshot({ type: 'jpeg', quality: 82 });
}

async function pictures() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox'],
  });
  const page = await browser.newPage();
  const atlas = await tiles(page, 32, CHANNELS / 32, 32);
  const strip = await tiles(page, 10, 1, 96);
  const sheet = await tiles(page, 10, IMAGES / 10, 64);
  const single = await tiles(page, 1, 1, 96);
  await browser.close();
  for (let layer = 0; layer < LAYERS; layer++) {
    write(`media/overview/${layer}.jpg`, atlas);
    for (let channel = 0; channel < CHANNELS; channel++) {
      write(`media/top/${layer}/${channel}.jpg`, single);
      write(`media/detail/${layer}/${channel}.jpg`, strip);
    }
  }
  for (let id = 0; id < CLASSES; id++) write(`media/sheet/${id}.jpg`, sheet);
}

const assets = fileURLToPath(new URL('../../crates/site/assets', import.meta.url));
cpSync(assets, folder, { recursive: true });
write('manifest.json', manifest());
write('classes.json', classes());
write('annotations.json', { ...VERSION, writable: false, annotations: [] });
write('confusion.json', {
  ...VERSION,
  label: list(20000, (index) => Math.floor(index / 20)),
  prediction: list(20000, (index) => (Math.floor(index / 20) + (index % 20) * 7) % CLASSES),
  images: list(20000, () => 1 + whole(5)),
});
for (let layer = 0; layer < LAYERS; layer++) {
  write(`embedding/${layer}.json`, heaps(CLASSES));
  write(`channels/${layer}.json`, channels());
  write(`points/channels/${layer}.json`, heaps(CHANNELS));
}
for (let id = 0; id < CLASSES; id++) {
  write(`graphs/${id}.json`, graph(id, id === 0 ? LARGE : ORDINARY));
  write(`similarity/${id}.json`, similarity());
  write(`images/${id}.json`, {
    ...VERSION,
    image: list(IMAGES, (index) => id * IMAGES + index),
    path: list(IMAGES, (index) => `${id}/${index}.jpg`),
    prediction: list(IMAGES, (index) => (index < 5 ? (id + index) % CLASSES : id)),
    probability: list(IMAGES, () => Number(random().toFixed(3))),
    margin: list(IMAGES, (index) => index - 5),
  });
}
// Once: every layer's is as large.
const images = heaps(POINTS);
write(`points/images/${LAYERS - 1}.json`, {
  ...images,
  group: images.id.map((id) => Math.floor(id / IMAGES)),
});
await pictures();
console.log(`${folder}: ${CLASSES} classes, ${LAYERS} layers`);
