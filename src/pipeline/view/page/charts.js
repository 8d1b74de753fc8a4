'use strict';

// Elements and charts. All text becomes text nodes: nothing that a page said is ever read as markup.

const at = (id) => document.getElementById(id);
const numbers = new Intl.NumberFormat('en');
const count = (n) => numbers.format(n);
const percent = (share) => (100 * share).toFixed(share < 0.1 ? 1 : 0) + ' %';

function make(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value !== undefined && value !== null && value !== false) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null));
  return node;
}

// Only addresses of the web lead anywhere.
function link(url, words) {
  if (!/^https?:\/\//i.test(url)) return make('span', {}, words || url);
  return make('a', { href: url, rel: 'noopener noreferrer nofollow', target: '_blank' }, words || url);
}

function bytes(n) {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let at = 0;
  while (n >= 1000 && at < units.length - 1) { n /= 1000; at += 1; }
  return (at && n < 10 ? n.toFixed(1) : Math.round(n)) + ' ' + units[at];
}

function seconds(s) {
  if (s < 60) return s.toFixed(1) + ' s';
  if (s < 3600) return (s / 60).toFixed(1) + ' min';
  return (s / 3600).toFixed(1) + ' h';
}

function table(heads, rows) {
  const cell = (name) => (value, index) =>
    make(name, { class: index ? 'number' : false, scope: name === 'th' ? 'col' : false }, String(value));
  const head = make('thead', {}, make('tr', {}, ...heads.map(cell('th'))));
  const body = make('tbody', {}, ...rows.map((row) => make('tr', {}, ...row.map(cell('td')))));
  return make('div', { class: 'wide' }, make('table', {}, head, body));
}

function track(share, kind) {
  const fill = make('div', { class: 'fill' + (kind ? ' ' + kind : '') });
  fill.style.width = Math.min(100, 100 * share).toFixed(2) + '%';
  return make('div', { class: 'track', 'aria-hidden': 'true' }, fill);
}

// A list of kinds with bars, the commonest first.
function ranking(title, { kinds, others, more }) {
  const largest = Math.max(1, ...kinds.map(([, n]) => n));
  const list = make('dl', { class: 'list' });
  for (const [kind, n] of kinds) {
    list.append(make('dt', { dir: 'auto', title: kind }, kind), make('dd', {}, track(n / largest)),
      make('dd', { class: 'number' }, count(n)));
  }
  const rest = others ? make('p', { class: 'hint' }, `and ${count(others)} of ${count(more)} others`) : null;
  const none = kinds.length ? null : make('p', { class: 'hint' }, 'None yet.');
  return make('div', {}, make('h3', {}, title), list, rest, none);
}

const SVG = 'http://www.w3.org/2000/svg';
const drawings = [];

function shape(name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// Bars by label: each series beside the others, or on top of them. `bounds` are lines at places between
// labels, from 0 to their number.
function bars({ title, labels, series, stacked, bounds, unit, every }) {
  const figure = make('figure', {});
  const words = title + ': ' + series.map((one) => one.name).join(', ');
  const rows = labels.map((label, at) => [label, ...series.map((one) => unit(one.values[at]))]);
  const legend = make('p', { class: 'legend' },
    ...series.map((one) => make('span', {}, make('i', { class: one.look }), one.name)));
  const draw = () => {
    const width = Math.max(280, figure.clientWidth || 600), height = 200;
    const [left, right, top, bottom] = [48, 8, bounds ? 34 : 10, 24];
    const svg = shape('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': words });
    const totals = labels.map((_, at) => stacked
      ? series.reduce((sum, one) => sum + one.values[at], 0) : Math.max(...series.map((one) => one.values[at])));
    const most = Math.max(...totals, Number.MIN_VALUE);
    const y = (value) => height - bottom - (height - top - bottom) * value / most;
    const step = (width - left - right) / labels.length;
    for (const value of [0, most / 2, most]) {
      svg.append(shape('line', { class: 'axis', x1: left, x2: width - right, y1: y(value), y2: y(value) }),
        shape('text', { x: left - 6, y: y(value) + 4, 'text-anchor': 'end' }, unit(value)));
    }
    const room = Math.max(every || 1, Math.ceil(34 / step));
    labels.forEach((label, index) => {
      const x = left + index * step;
      if (index % room === 0) {
        svg.append(shape('text', { x: x + step / 2, y: height - 8, 'text-anchor': 'middle' }, label));
      }
      let base = 0;
      series.forEach((one, number) => {
        const value = one.values[index];
        const wide = stacked ? step * 0.86 : step * 0.86 / series.length;
        const bar = shape('rect', { class: one.look, x: x + step * 0.07 + (stacked ? 0 : number * wide), width: wide,
          y: y(base + value), height: Math.max(0, y(base) - y(base + value)) });
        bar.append(shape('title', {}, `${label}: ${one.name} ${unit(value)}`));
        svg.append(bar);
        if (stacked) base += value;
      });
    });
    (bounds || []).forEach(({ at: place, name }, index) => {
      const x = left + place * step, isLeft = x > width / 2;
      svg.append(shape('line', { class: 'bound', x1: x, x2: x, y1: 16 * index + 6, y2: height - bottom }),
        shape('text', { class: 'bound-name', x: x + (isLeft ? -5 : 5), y: 16 * index + 14,
          'text-anchor': isLeft ? 'end' : 'start' }, name));
    });
    figure.querySelector('svg')?.remove();
    figure.insertBefore(svg, legend.nextSibling);
  };
  const details = make('details', {}, make('summary', {}, 'As a table'), table(['', ...series.map((one) => one.name)], rows));
  figure.append(make('h3', {}, title), legend, details);
  drawings.push(draw);
  return figure;
}

function redraw() {
  drawings.forEach((draw) => draw());
}

let resized = 0;
window.addEventListener('resize', () => {
  cancelAnimationFrame(resized);
  resized = requestAnimationFrame(redraw);
});
