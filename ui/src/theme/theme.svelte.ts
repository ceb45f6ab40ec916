// Light or dark: as the system says, until the user says otherwise.
export type ThemeChoice = 'system' | 'light' | 'dark';

const KEY = 'summit-theme';
const system = matchMedia('(prefers-color-scheme: dark)');
const contrast = matchMedia('(prefers-contrast: more)');

class Theme {
  choice = $state<ThemeChoice>('system');
  systemDark = $state(system.matches);
  contrast = $state(contrast.matches);
  readonly dark = $derived(this.choice === 'dark' || (this.choice === 'system' && this.systemDark));

  readonly #colours = $derived.by(() => {
    // Read again when one of these changes; reading makes the browser compute styles.
    void [this.dark, this.contrast];
    return new Map<string, string>();
  });

  /** A colour of the theme, for what is drawn without style sheets: `colour('--ink')`. */
  readonly colour = (name: string): string => {
    const colours = this.#colours;
    let value = colours.get(name);
    if (value === undefined) {
      value = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
      colours.set(name, value);
    }
    return value;
  };

  set(choice: ThemeChoice) {
    this.choice = choice;
    try {
      localStorage.setItem(KEY, choice);
    } catch {
      // Storage may be forbidden; the choice then lasts as long as the page.
    }
    this.apply();
  }

  apply() {
    document.documentElement.dataset.theme = this.dark ? 'dark' : 'light';
  }
}

export const theme = new Theme();

export function startTheme() {
  let stored: string | null = null;
  try {
    stored = localStorage.getItem(KEY);
  } catch {
    // As above.
  }
  if (stored === 'light' || stored === 'dark') theme.choice = stored;
  theme.apply();
  contrast.addEventListener('change', () => (theme.contrast = contrast.matches));
  system.addEventListener('change', () => {
    theme.systemDark = system.matches;
    theme.apply();
  });
}
