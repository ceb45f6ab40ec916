// Reads the bundle: fetches its files, checks them at the boundary, keeps them.
import type { FeatureFile } from './features.svelte';
import type { Part } from '../state/url';
import { BUNDLE_SCHEMA_VERSION, GRAPH_SCHEMA_VERSION } from './generated/schema';
import type {
  ActivationFile,
  Annotation,
  AnnotationFile,
  AttributionGraph,
  CarrierFile,
  ChannelFile,
  ClassTable,
  ConfusionTable,
  EdgeImageFile,
  EmbeddingFile,
  ImageFile,
  InputFile,
  MaskFile,
  LiveFile,
  Measure,
  PhotoFile,
  SimilarityFile,
  SiteManifest,
  WhatIfFile,
  WhatIfQuestion,
} from './generated/schema';

/** The status of files that are still being made. */
export const UNFINISHED = 202;

/** The status of files that do not exist. */
export const MISSING = 404;

/** A file that cannot be had or used; the message is for the user. */
export class BundleError extends Error {
  constructor(
    readonly file: string,
    readonly reason: string,
    /** What the server answered with, where it did. */
    readonly status = 0,
  ) {
    super(`${reason} (${file})`);
    this.name = 'BundleError';
  }
}

/** Graphs of parts are named after the class and the prediction, those not by the best measure stand
 * below the measure. */
export function graphName(id: number, part: Part, measure: Measure | null): string {
  const group = part === 'all' ? String(id) : `${id}-${part === 'right' ? id : part}`;
  return measure === null ? group : `${measure}/${group}`;
}

/** The request was given up, which is nobody's fault. */
export const isAbort = (error: unknown) =>
  error instanceof DOMException && error.name === 'AbortError';

type Row = Record<string, unknown>;
type Check = (value: Row) => string | null;

/** How many files are kept; the oldest go first. */
const KEPT = 300;

const LATER = 'the data were made by a newer version of Summit than this page';

function version(expected: number): Check {
  return ({ schema_version: found }) => {
    if (typeof found !== 'number') return 'the file does not say which version it is';
    if (found > expected) return LATER;
    return found === expected ? null : `version ${String(found)} of the data is not understood`;
  };
}

/** Columns must be lists of the same length. */
function columns(...names: string[]): Check {
  return (value) => {
    const lengths = names.map((name) => {
      const column = value[name];
      return Array.isArray(column) ? column.length : -1;
    });
    return lengths.every((length) => length >= 0 && length === lengths[0])
      ? null
      : `the columns ${names.join(', ')} do not fit together`;
  };
}

function all(...checks: Check[]): Check {
  return (value) => {
    for (const check of checks) {
      const problem = check(value);
      if (problem) return problem;
    }
    return null;
  };
}

const bundleVersion = version(BUNDLE_SCHEMA_VERSION);

function isObject(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** References inside a graph must hold. */
export function graphProblem(value: Row): string | null {
  const graph = value as Partial<AttributionGraph>;
  const lists = [graph.layers, graph.nodes, graph.edges, graph.classes, graph.logit_edges];
  if (!lists.every(Array.isArray) || !isObject(graph.group))
    return 'parts of the graph are missing';
  const { layers = [], nodes = [], edges = [], classes = [], logit_edges = [] } = graph;
  const index = (value: number, length: number) =>
    Number.isInteger(value) && value >= 0 && value < length;
  if (!nodes.every((node) => index(node.layer, layers.length) && Number.isFinite(node.x)))
    return 'a channel of the graph is in no layer';
  const good =
    edges.every((edge) => index(edge.from, nodes.length) && index(edge.to, nodes.length)) &&
    logit_edges.every((edge) => index(edge.from, nodes.length) && index(edge.to, classes.length));
  return good ? null : 'an edge of the graph leads nowhere';
}

const manifestCheck = all(bundleVersion, columns('layers'), (value) =>
  isObject(value.model) && isObject(value.images) ? null : 'parts of the description are missing',
);
const classCheck = all(
  bundleVersion,
  columns(
    'external_id',
    'name',
    'synonyms',
    'images',
    'labelled',
    'correct',
    'predicted',
    'histogram',
    'confused_with',
  ),
);

const liveCheck = all(bundleVersion, columns('class', 'name', 'images', 'labelled', 'correct'));

/** What the server tells of a run that is being made. */
export const isLive = (value: unknown): value is LiveFile =>
  isObject(value) && liveCheck(value) === null;

/** A file that is there or on its way, and how many still want it. */
interface Kept {
  file: Promise<unknown>;
  wanted: number;
  /** Ends the request; nothing once the file is there. */
  giveUp: () => void;
}

export class Bundle {
  readonly #kept = new Map<string, Kept>();

  /** @param base address of the bundle's folder, with a slash at its end */
  constructor(readonly base: string) {}

  manifest = () => this.#json<SiteManifest>('manifest.json', manifestCheck);
  /** A run that is being made, as it is now; not there for others. */
  live = () => this.#load('live.json', liveCheck) as Promise<LiveFile>;
  classes = () => this.#json<ClassTable>('classes.json', classCheck);
  confusion = () =>
    this.#json<ConfusionTable>(
      'confusion.json',
      all(bundleVersion, columns('label', 'prediction', 'images')),
    );
  embedding = (layer: number) =>
    this.#json<EmbeddingFile>(
      `embedding/${layer}.json`,
      all(bundleVersion, columns('id', 'x', 'y')),
    );
  points = (of: 'channels' | 'images', layer: number) =>
    this.#json<EmbeddingFile>(
      `points/${of}/${layer}.json`,
      all(bundleVersion, columns('id', 'x', 'y')),
    );
  channels = (layer: number) =>
    this.#json<ChannelFile>(
      `channels/${layer}.json`,
      all(bundleVersion, columns('images', 'classes', 'examples', 'range')),
    );
  masks = (layer: number) =>
    this.#json<MaskFile>(`masks/${layer}.json`, all(bundleVersion, columns('examples', 'range')));
  /** By the best measure, or by another. */
  graph = (classId: number, part: Part, measure: Measure | null, signal?: AbortSignal) =>
    this.#json<AttributionGraph>(
      `graphs/${graphName(classId, part, measure)}.json`,
      all(version(GRAPH_SCHEMA_VERSION), graphProblem),
      signal,
    );
  inputs = (classId: number, measure: Measure | null) =>
    this.#json<InputFile>(
      `inputs/${graphName(classId, 'all', measure)}.json`,
      all(bundleVersion, columns('layer', 'channel', 'inputs')),
    );
  /** The images that carry a graph's edges; not there for conv-max. */
  edgeImages = (classId: number, part: Part, measure: Measure, signal: AbortSignal) =>
    this.#json<EdgeImageFile>(
      `edges/${graphName(classId, part, measure)}.json`,
      all(bundleVersion, columns('lower', 'from', 'to', 'places', 'effect')),
      signal,
    );
  carriers = (classId: number, signal?: AbortSignal) =>
    this.#json<CarrierFile>(
      `carriers/${classId}.json`,
      all(bundleVersion, columns('layer', 'channel', 'images')),
      signal,
    );
  similarity = (classId: number, signal?: AbortSignal) =>
    this.#json<SimilarityFile>(
      `similarity/${classId}.json`,
      all(bundleVersion, columns('class'), columns('permille')),
      signal,
    );
  activations = (classId: number) =>
    this.#json<ActivationFile>(
      `activations/${classId}.json`,
      all(bundleVersion, columns('layers')),
    );
  /** Names of channels as they are now; they change while the page is open. */
  annotations = () =>
    this.#load(
      'annotations.json',
      all(bundleVersion, columns('annotations')),
    ) as Promise<AnnotationFile>;

  async annotate(annotation: Annotation) {
    const file = 'annotations.json';
    await this.#answer(file, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(annotation),
    });
  }

  /** Feature visualisations of a layer; more may be made while the page is open. */
  features = (layer: number) =>
    this.#load(
      `features/${layer}.json`,
      all(bundleVersion, columns('channel', 'relative', 'naturalness', 'unnatural', 'detail')),
    ) as Promise<FeatureFile>;

  /** Asks for the feature visualisation of a channel. */
  async draw(layer: number, channel: number) {
    await this.#answer(`media/feature/${layer}/${channel}.jpg`, { method: 'POST' });
  }

  /** What the network says of a photograph. */
  async photo(picture: Blob): Promise<PhotoFile> {
    const response = await this.#answer('photo', { method: 'POST', body: picture });
    const check = all(
      bundleVersion,
      columns('class', 'probability'),
      columns('layer', 'channel', 'share'),
    );
    return (await this.#checked('photo', response, check)) as PhotoFile;
  }

  /** What a changed channel does to a class. */
  async whatIf(question: WhatIfQuestion, signal: AbortSignal): Promise<WhatIfFile> {
    const response = await this.#answer('whatif', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(question),
      signal,
    });
    const check = all(bundleVersion, columns('prediction', 'before', 'after'));
    return (await this.#checked('whatif', response, check)) as WhatIfFile;
  }

  images = (classId: number, signal?: AbortSignal) =>
    this.#json<ImageFile>(
      `images/${classId}.json`,
      all(bundleVersion, columns('image', 'path', 'prediction', 'probability', 'margin')),
      signal,
    );

  /** Address of a picture. */
  picture(path: string): string {
    return `${this.base}media/${path}.jpg`;
  }

  /** @param signal gives the file up; it is fetched on while anybody else wants it */
  #json<T>(file: string, check: Check, signal?: AbortSignal): Promise<T> {
    const kept = this.#kept.get(file) ?? this.#start(file, check);
    kept.wanted += 1;
    signal?.addEventListener('abort', () => {
      kept.wanted -= 1;
      if (kept.wanted === 0) kept.giveUp();
    });
    return kept.file as Promise<T>;
  }

  #start(file: string, check: Check): Kept {
    const controller = new AbortController();
    const loading = this.#load(file, check, controller.signal);
    const forget = () => {
      if (this.#kept.get(file) === kept) this.#kept.delete(file);
    };
    const kept: Kept = {
      file: loading,
      wanted: 0,
      giveUp: () => {
        forget();
        controller.abort();
      },
    };
    this.#kept.set(file, kept);
    // What failed may be tried again.
    loading.then(() => (kept.giveUp = () => undefined), forget);
    if (this.#kept.size > KEPT) {
      const [oldest] = this.#kept.keys();
      if (oldest !== undefined) this.#kept.delete(oldest);
    }
    return kept;
  }

  async #answer(file: string, request: RequestInit = {}): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(this.base + file, { credentials: 'same-origin', ...request });
    } catch (error) {
      if (isAbort(error)) throw error;
      throw new BundleError(file, 'The server does not answer');
    }
    if (response.status === 404) throw new BundleError(file, 'The data have no such file', MISSING);
    if (!response.ok || (response.status === UNFINISHED && request.method === undefined)) {
      const text = (await response.text().catch(() => '')).trim().slice(0, 300);
      throw new BundleError(
        file,
        text || `The server answered ${response.status}`,
        response.status,
      );
    }
    return response;
  }

  async #load(file: string, check: Check, signal?: AbortSignal): Promise<unknown> {
    return this.#checked(file, await this.#answer(file, signal ? { signal } : {}), check);
  }

  async #checked(file: string, response: Response, check: Check): Promise<unknown> {
    let value: unknown;
    try {
      value = await response.json();
    } catch (error) {
      if (isAbort(error)) throw error;
      throw new BundleError(file, 'The file is damaged: it is no complete JSON');
    }
    if (!isObject(value)) throw new BundleError(file, 'The file is damaged: it is no object');
    const problem = check(value);
    if (problem) throw new BundleError(file, `The file cannot be used: ${problem}`);
    return value;
  }
}
