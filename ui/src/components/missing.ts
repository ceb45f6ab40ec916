// Pictures that cannot be had leave their place empty, instead of the browser's sign for a broken one.

const NOTHING = 'data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==';

/** Looks after all pictures of a document: their errors do not rise, but can be caught on the way down. */
export function emptyWhereMissing(root: Document) {
  const empty = ({ target }: Event) => {
    if (target instanceof HTMLImageElement && target.src !== NOTHING) target.src = NOTHING;
    if (target instanceof SVGImageElement) target.setAttribute('href', NOTHING);
  };
  root.addEventListener('error', empty, true);
}
