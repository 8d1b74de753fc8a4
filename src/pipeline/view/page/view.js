// The figures: what is above and below the gallery. `source` is where they come from, the page's own data
// or the server.

let source = null;

const THEMES = ['system', 'light', 'dark'];

function theme(name) {
  if (name === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  at('theme').textContent = 'Theme: ' + name;
  at('theme').dataset.name = name;
}

function startTheme() {
  let kept = 'system';
  // A page from a file may have no storage.
  try { kept = localStorage.getItem('magiclens-theme') || kept; } catch {}
  theme(THEMES.includes(kept) ? kept : 'system');
  at('theme').addEventListener('click', () => {
    const next = THEMES[(THEMES.indexOf(at('theme').dataset.name) + 1) % THEMES.length];
    theme(next);
    try { localStorage.setItem('magiclens-theme', next); } catch {}
  });
}

function showSurvey(survey) {
  const { triplets } = survey;
  const splits = Object.entries(triplets.splits).map(([split, n]) => `${split} ${count(n)}`).join(', ');
  at('about').textContent = `${survey.run} · ${count(triplets.exported)} triplets${splits ? ` (${splits})` : ''} · ` +
    `read ${survey.read_at} by magiclens ${survey.version}`;
  at('notes').replaceChildren(...survey.notes.map((note) => make('p', {}, note)));
  drawings.length = 0;
  showFunnel(survey.funnel);
  showWording(survey.wording);
  showSimilarities(survey.similarities);
  showKinds(survey);
  showStages(survey);
  redraw();
  fillFilters(survey);
}

function showFunnel(funnel) {
  const rows = funnel.map((step) => {
    const lost = step.reasons.map((reason) => {
      const button = make('button', { type: 'button', class: reason.failed ? 'failed' : false, 'aria-haspopup': 'dialog',
        title: reason.failed ? 'wanted and not had' : 'turned down by a rule' }, `${reason.reason} ${count(reason.count)}`);
      button.addEventListener('click', () => showExamples(step.table, reason));
      return button;
    });
    const note = [step.note, step.bytes ? bytes(step.bytes) : ''].filter(Boolean).join(', ');
    const share = step.input ? step.output / step.input : 0;
    return make('tr', {}, make('th', { scope: 'row' }, step.table, make('small', {}, [step.stage, note].filter(Boolean).join(' · '))),
      make('td', { class: 'number', 'data-name': 'in' }, count(step.input)), make('td', { class: 'number', 'data-name': 'out' }, count(step.output)),
      make('td', { class: 'share' }, step.input ? track(share) : '', make('small', {}, step.input ? percent(share) : '')),
      make('td', { class: 'why' }, make('div', { class: 'reasons' }, ...lost)));
  });
  at('steps').tBodies[0].replaceChildren(...rows);
}

async function showExamples(table, { reason, count: all }) {
  const found = await source.examples(table, reason);
  at('examples-title').textContent = `${table}: ${reason}, ${count(found.length)} of ${count(all)}`;
  const items = found.map((example) => {
    const picture = make('div', { class: 'picture' },
      example.image ? make('img', { src: example.image, alt: '' }) : 'no image');
    const page = example.page && example.page !== example.url ? make('p', {}, 'on ', link(example.page)) : null;
    return make('li', {}, picture, make('div', {}, make('p', {}, link(example.url)), page,
      make('p', { class: 'hint', dir: 'auto' }, example.detail)));
  });
  at('examples').querySelector('ul').replaceChildren(...items);
  if (!items.length) at('examples').querySelector('ul').append(make('li', {}, make('p', {}, 'No examples are kept.')));
  at('examples').showModal();
}

function showWording(wording) {
  const body = document.querySelector('#wording .body');
  if (!wording.length) return body.replaceChildren(make('p', {}, 'No instructions yet.'));
  const [written, baseline] = wording;
  const longest = Math.max(...wording.map((one) => one.lengths.findLastIndex((n) => n > 0) + 1), 8);
  const labels = [...Array(longest).keys()].map((n) => n === 39 ? '40+' : String(n + 1));
  const looks = ['s0', 's1'];
  const lengths = bars({ title: 'Words of an instruction', labels, unit: percent, series: wording.map((one, index) => ({
    name: `${one.name} (mean ${one.mean.toFixed(1)}, median ${one.median})`, look: looks[index],
    values: one.lengths.slice(0, longest).map((n) => n / one.count) })) });
  const shares = (one) => new Map(one ? one.words.kinds.map(([word, n]) => [word, n / one.count]) : []);
  const [own, others] = [shares(written), shares(baseline)];
  const most = Math.max(...own.values(), ...others.values(), 1e-9);
  const list = make('dl', { class: 'list' });
  for (const [word, share] of [...own].slice(0, 25)) {
    list.append(make('dt', { dir: 'auto' }, word),
      make('dd', {}, track(share / most), baseline ? track((others.get(word) || 0) / most, 'two') : null),
      make('dd', { class: 'number' }, percent(share)));
  }
  const words = make('div', {}, make('h3', {}, 'Commonest words, in a share of instructions'), list);
  const openings = make('div', { class: 'openings' }, ...wording.map((one) => make('div', {}, make('h3', {}, 'First words: ' + one.name),
    table(['', 'share'], one.openings.map(([opening, share]) => [opening, percent(share)])))));
  const about = make('p', { class: 'hint' }, baseline
    ? `${count(written.count)} instructions, beside what the template makes of the same pairs (the paper's ablation baseline).`
    : `${count(written.count)} instructions. Where a model writes, the template's for the same pairs are beside its own.`);
  body.replaceChildren(about, make('div', { class: 'charts' }, make('div', {}, lengths, openings), words));
}

function showSimilarities(similarities) {
  const body = document.querySelector('#similarity .body');
  const charts = similarities.map(({ name, kept, rejected, thresholds }) => {
    const bound = (value) => (value + 1) * kept.length / 2;
    const used = kept.map((n, at) => n + rejected[at] > 0);
    const places = thresholds.map(([, value]) => bound(value));
    let first = Math.min(used.indexOf(true) < 0 ? 50 : used.indexOf(true), ...places.map(Math.floor));
    let last = Math.max(used.lastIndexOf(true) + 1, ...places.map(Math.ceil));
    [first, last] = [Math.max(0, first - 1), Math.min(kept.length, last + 1)];
    const labels = kept.slice(first, last).map((_, at) => ((first + at) * 2 / kept.length - 1).toFixed(2));
    return bars({ title: name, labels, stacked: true, unit: (n) => count(Math.round(n)),
      bounds: thresholds.map(([name, value]) => ({ at: bound(value) - first, name: `${name} ${value.toFixed(2)}` })),
      series: [{ name: 'pairs', look: 's0', values: kept.slice(first, last) },
        { name: 'turned down', look: 'lost', values: rejected.slice(first, last) }] });
  });
  body.replaceChildren(...charts);
}

function showKinds({ kinds, sizes }) {
  const empty = { kinds: [], others: 0, more: 0 };
  const names = { domains: 'Domains of triplets', languages: 'Languages of triplets', generators: 'Who wrote instructions',
    rights: 'Rights stated for images', formats: 'Formats of images' };
  const lists = Object.entries(names).map(([kind, name]) => ranking(name, kinds[kind] || empty));
  let from = 0;
  const sides = sizes.sides.map(([bound, n]) => {
    const label = bound === null ? `${from} and more` : `${from} to ${bound - 1}`;
    from = bound;
    return [label, n];
  });
  lists.push(ranking(`Shorter side of ${count(sizes.images)} images, in pixels`, { kinds: sides.filter(([, n]) => n), others: 0, more: 0 }));
  document.querySelector('#kinds .body').replaceChildren(...lists);
}

function showStages({ stages, models, triplets }) {
  const took = stages.map((stage) => [stage.stage, seconds(stage.wall_s), seconds(stage.cpu_s), bytes(stage.peak_bytes),
    count(stage.requests), bytes(stage.received_bytes)]);
  const parts = [stages.length ? table(['stage', 'time', 'CPU time', 'memory at most', 'requests', 'received'], took)
    : make('p', {}, 'Nothing was written down yet.')];
  if (models.length) {
    const each = (cost) => triplets.exported ? (1000 * cost / triplets.exported).toFixed(3) : '';
    parts.push(make('h3', {}, 'Models'), table(['step', 'calls', 'tokens in', 'tokens out', 'cost', 'cost of 1,000 triplets'],
      models.map((one) => [one.step, count(one.calls), count(one.input), count(one.output), one.cost.toFixed(2), each(one.cost)])));
  } else {
    parts.push(make('p', { class: 'hint' }, 'No model was asked.'));
  }
  document.querySelector('#stages .body').replaceChildren(...parts);
}

function start(from) {
  source = from;
  document.querySelectorAll('[data-live]').forEach((node) => { node.hidden = !source.live; });
  startTheme();
  document.querySelectorAll('dialog .close').forEach((button) => {
    button.addEventListener('click', () => button.closest('dialog').close());
  });
  startGallery();
}
