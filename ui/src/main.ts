import { mount } from 'svelte';
import App from './App.svelte';
import { Bundle } from './data/bundle';
import { emptyWhereMissing } from './components/missing';
import { startTheme } from './theme/theme.svelte';
import './theme/tokens.css';
import './theme/base.css';

const target = document.getElementById('app');
if (target) {
  target.textContent = '';
  startTheme();
  emptyWhereMissing(document);
  mount(App, { target, props: { bundle: new Bundle(new URL('bundle/', document.baseURI).href) } });
}
