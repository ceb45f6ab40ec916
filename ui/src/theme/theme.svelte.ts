// Light or dark: as the system says, until the user says otherwise.
export type ThemeChoice = 'system' | 'light' | 'dark';

const KEY = 'summit-theme';
const system = matchMedia('(prefers-color-scheme: dark)');

class Theme {
  choice = $state<ThemeChoice>('system');
  systemDark = $state(system.matches);
  readonly dark = $derived(this.choice === 'dark' || (this.choice === 'system' && this.systemDark));

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
  system.addEventListener('change', () => {
    theme.systemDark = system.matches;
    theme.apply();
  });
}
