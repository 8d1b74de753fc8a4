'use strict';

const at = (id) => document.getElementById(id);
const form = at('search'), drop = at('drop'), preview = at('preview'), hint = at('hint');
const file = at('file'), clear = at('clear'), text = at('text'), status = at('status');
const results = at('results'), template = at('result');

// What is asked with: {file} or {row, image, name}, or nothing.
let query = null;
let running = null;

const numbers = new Intl.NumberFormat('en');

function show(source, words) {
  if (preview.src.startsWith('blob:')) URL.revokeObjectURL(preview.src);
  preview.hidden = clear.hidden = !source;
  hint.hidden = Boolean(source);
  if (source) {
    preview.src = source;
    preview.alt = 'Query image: ' + words;
  } else {
    preview.removeAttribute('src');
    preview.alt = '';
  }
}

function useFile(chosen) {
  if (!chosen) return;
  query = { file: chosen };
  show(URL.createObjectURL(chosen), chosen.name || 'pasted image');
  search();
}

function useResult(hit) {
  query = { row: hit.row };
  file.value = '';
  show(hit.image, nameOf(hit));
  text.value = '';
  text.focus();
  search();
}

function nameOf(hit) {
  return hit.caption || hit.id.split('/').pop() || hit.id;
}

function item(hit, rank) {
  const node = template.content.cloneNode(true);
  const image = node.querySelector('img');
  image.src = hit.image;
  image.alt = nameOf(hit);
  node.querySelector('.score').textContent = hit.score.toFixed(3);
  const name = node.querySelector('.name');
  name.textContent = nameOf(hit);
  name.title = hit.url || hit.id;
  const button = node.querySelector('button');
  button.setAttribute('aria-label', `Search from result ${rank}: ${nameOf(hit)}`);
  button.addEventListener('click', () => useResult(hit));
  image.addEventListener('click', () => useResult(hit));
  return node;
}

async function search() {
  const words = text.value.trim();
  if (!query && !words) {
    status.textContent = 'Choose an image, or type what to look for.';
    return;
  }
  if (running) running.abort();
  const mine = running = new AbortController();
  const body = new FormData();
  if (query && query.file) body.append('image', query.file);
  if (query && query.row !== undefined) body.append('row', query.row);
  body.append('text', words);
  status.textContent = 'Searching…';
  results.setAttribute('aria-busy', 'true');
  try {
    const response = await fetch('/api/search', { method: 'POST', body, signal: mine.signal });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    results.replaceChildren(...answer.hits.map((hit, index) => item(hit, index + 1)));
    status.textContent =
      `${numbers.format(answer.hits.length)} images, the nearest first (${Math.round(answer.took_ms)} ms).`;
  } catch (error) {
    if (mine.signal.aborted) return;
    results.replaceChildren();
    status.textContent = 'No answer: ' + error.message;
  }
  results.removeAttribute('aria-busy');
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  search();
});
file.addEventListener('change', () => useFile(file.files[0]));
clear.addEventListener('click', () => {
  query = null;
  file.value = '';
  show(null);
  file.focus();
});
for (const name of ['dragenter', 'dragover']) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add('over');
  });
}
document.addEventListener('dragleave', (event) => {
  if (!event.relatedTarget) drop.classList.remove('over');
});
document.addEventListener('drop', (event) => {
  event.preventDefault();
  drop.classList.remove('over');
  useFile([...event.dataTransfer.files].find((dropped) => dropped.type.startsWith('image/')));
});
document.addEventListener('paste', (event) => {
  useFile([...event.clipboardData.files].find((pasted) => pasted.type.startsWith('image/')));
});

fetch('/api/index')
  .then((response) => response.json())
  .then((about) => {
    at('about').textContent = `${numbers.format(about.images)} images · ${about.model}`;
  });
