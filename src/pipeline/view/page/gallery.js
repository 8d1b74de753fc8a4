// The gallery: a page of triplets at a time, by filter; moving and marking by keyboard.

const PAGE = 12;
const MARKS = { g: 'good', b: 'bad', u: 'unsafe' };

let offset = 0, total = 0, shown = [], selected = -1, asked = 0, sought = '';

function filter() {
  const values = {};
  for (const [name, value] of new FormData(at('filters'))) {
    const said = value.trim();
    if (said) values[name] = said;
  }
  return values;
}

function fillFilters({ kinds, triplets }) {
  const fill = (name, values) => {
    const select = at('filters').elements[name], chosen = select.value;
    select.replaceChildren(make('option', { value: '' }, 'all'), ...values.map((value) => make('option', { value }, value)));
    select.value = values.includes(chosen) ? chosen : '';
  };
  const names = (kind) => ((kinds[kind] || {}).kinds || []).map(([name]) => name);
  fill('split', Object.keys(triplets.splits));
  fill('generator', names('generators'));
  fill('language', names('languages'));
  at('domains').replaceChildren(...names('domains').map((value) => make('option', { value })));
}

function picture(figure, side, image) {
  const box = figure.querySelector('.picture');
  const caption = side.caption || side.url;
  if (image) {
    const node = make('img', { src: image, alt: caption, loading: 'lazy' });
    node.addEventListener('error', () => box.replaceChildren('this image cannot be shown'));
    box.append(node);
  } else {
    box.append(link(side.url, 'image at its site'));
  }
  const size = `${side.width} × ${side.height}`;
  figure.querySelector('figcaption').append(make('bdi', {}, caption), ` · ${size}`, side.rights ? make('bdi', {}, ' · ' + side.rights) : '');
}

function item(card, index) {
  const node = document.getElementById('card').content.cloneNode(true).querySelector('li');
  const inside = (name) => node.querySelector(name);
  picture(inside('.query'), card.query, card.query_image);
  picture(inside('.target'), card.target, card.target_image);
  inside('.instruction').textContent = card.instruction;
  inside('.relation').textContent = card.relation;
  const left = card.left_out ? ` · left out: ${card.left_out}` : '';
  inside('.facts').textContent = `visual ${card.visual.toFixed(3)} · text ${card.text.toFixed(3)} · ${card.split} · ` +
    `${card.language} · by ${card.generator}${left}`;
  inside('.from').append(make('bdi', {}, card.title ? card.title + ' ' : ''), link(card.page));
  node.setAttribute('aria-label', `Triplet ${offset + index + 1}: ${card.instruction}`);
  node.dataset.id = card.id;
  node.addEventListener('focusin', () => select(index, false));
  if (source.live) {
    const buttons = Object.entries(MARKS).map(([key, mark]) => {
      const button = make('button', { type: 'button', 'data-mark': mark, 'aria-keyshortcuts': key }, mark);
      button.addEventListener('click', () => setMark(index, card.mark === mark ? null : mark));
      return button;
    });
    inside('.marks').append(...buttons);
    inside('.marks').hidden = false;
  }
  showMark(node, card.mark);
  return node;
}

function showMark(node, mark) {
  if (mark) node.dataset.mark = mark;
  else delete node.dataset.mark;
  node.querySelectorAll('.marks button').forEach((button) => {
    button.setAttribute('aria-pressed', String(button.dataset.mark === mark));
  });
}

function select(index, moves = true) {
  const nodes = [...at('cards').children];
  nodes.forEach((node) => node.removeAttribute('aria-current'));
  selected = index;
  const node = nodes[index];
  if (!node) return;
  node.setAttribute('aria-current', 'true');
  if (moves) {
    node.focus({ preventScroll: true });
    node.scrollIntoView({ block: 'nearest' });
  }
}

async function show(to = offset, choose = null) {
  const mine = asked += 1, wanted = filter();
  sought = JSON.stringify(wanted);
  let found;
  try {
    found = await source.triplets(wanted, Math.max(0, to), PAGE);
  } catch (error) {
    at('status').textContent = 'No answer: ' + error.message;
    return;
  }
  if (mine !== asked) return;
  [offset, total, shown] = [Math.max(0, to), found.total, found.items];
  if (!shown.length && offset) return show(0, choose);
  selected = -1;
  at('cards').replaceChildren(...shown.map(item));
  at('cards').dataset.filter = JSON.stringify(wanted);
  const range = shown.length ? `${count(offset + 1)} to ${count(offset + shown.length)} of ` : '';
  at('status').textContent = `${range}${count(total)} triplets${found.words || ''}`;
  at('previous').disabled = offset === 0;
  at('next').disabled = at('more').disabled = offset + shown.length >= total;
  if (choose !== null && shown.length) select(choose < 0 ? shown.length - 1 : choose);
}

function move(by) {
  const to = selected + by;
  if (selected < 0) return select(0);
  if (to >= shown.length) return at('next').disabled ? undefined : show(offset + PAGE, 0);
  if (to < 0) return offset ? show(offset - PAGE, -1) : undefined;
  select(to);
}

async function setMark(index, mark) {
  const card = shown[index], node = at('cards').children[index];
  if (!source.live || !card) return;
  try {
    await source.mark(card.id, mark, at('reviewer').value.trim());
    card.mark = mark;
    showMark(node, mark);
    at('status').textContent = mark ? `Marked ${mark}: ${card.instruction}` : `Mark taken back: ${card.instruction}`;
  } catch (error) {
    at('status').textContent = 'Not marked: ' + error.message;
  }
}

function pressed(event) {
  const typing = event.target.closest('input, select, textarea');
  if (event.ctrlKey || event.metaKey || event.altKey || typing || document.querySelector('dialog[open]')) return;
  const inside = at('cards').contains(document.activeElement);
  const keys = {
    j: () => move(1), k: () => move(-1), n: () => at('next').click(), p: () => at('previous').click(),
    '/': () => at('filters').elements.words.focus(), '?': () => at('help').showModal(),
    x: () => setMark(selected, null),
  };
  for (const [key, mark] of Object.entries(MARKS)) keys[key] = () => setMark(selected, mark);
  if (inside) Object.assign(keys, { ArrowDown: keys.j, ArrowUp: keys.k, ArrowRight: keys.j, ArrowLeft: keys.k });
  if (!Object.hasOwn(keys, event.key)) return;
  event.preventDefault();
  keys[event.key]();
}

function startGallery() {
  const form = at('filters');
  let waiting = 0;
  const later = () => {
    clearTimeout(waiting);
    // A field that is left says so once more.
    waiting = setTimeout(() => JSON.stringify(filter()) === sought || show(0), 150);
  };
  form.addEventListener('input', later);
  form.addEventListener('change', later);
  form.addEventListener('submit', (event) => { event.preventDefault(); show(0); });
  form.addEventListener('reset', () => setTimeout(() => show(0)));
  at('previous').addEventListener('click', () => show(offset - PAGE));
  at('next').addEventListener('click', () => show(offset + PAGE));
  at('more').addEventListener('click', () => show(offset + PAGE, 0));
  at('keys').addEventListener('click', () => at('help').showModal());
  document.addEventListener('keydown', pressed);
}
