// A run that is served: data comes from the server that sent this page, again whenever there is news.

const EVERY = 2000;

async function answer(path, options) {
  const response = await fetch(path, options);
  if (response.status === 204) return null;
  const said = await response.json();
  if (!response.ok) throw new Error(said.error);
  return said;
}

const query = (values) => new URLSearchParams(values).toString();

let version = '', exported = -1;

async function follow() {
  try {
    const news = await answer('/api/survey?' + query({ seen: version }));
    if (news) {
      version = news.version;
      showSurvey(news.survey);
      at('sampled').textContent = news.unread
        ? `${count(news.unread)} triplets more are not held in memory, and not shown.` : '';
      // What somebody looks at is not replaced under their eyes.
      if (exported < 0 || !shown.length) show(offset);
      exported = news.survey.triplets.exported;
    } else if (exported < 0) {
      at('about').textContent = 'Reading the run…';
    }
    document.body.removeAttribute('data-lost');
  } catch (error) {
    document.body.dataset.lost = '';
    at('about').textContent = 'No answer from mine serve: ' + error.message;
  }
  setTimeout(() => whileSeen(follow), EVERY);
}

// A page that nobody looks at costs the server nothing.
function whileSeen(then) {
  if (!document.hidden) then();
  else document.addEventListener('visibilitychange', () => whileSeen(then), { once: true });
}

function facts(title, rows) {
  return rows.length ? make('div', {}, make('h3', {}, title), make('ul', {}, ...rows)) : null;
}

async function lookUp(event) {
  event.preventDefault();
  const url = new FormData(at('ask')).get('url').trim();
  at('answer').textContent = 'Looking…';
  try {
    const found = await answer('/api/why?' + query({ url }));
    const rejects = found.rejects.map((one) => make('li', {}, make('strong', {}, `${one.table}: ${one.reason}`), ' ',
      make('bdi', {}, one.detail), ' — ', link(one.url), one.page && one.page !== one.url ? ' on ' : '',
      one.page && one.page !== one.url ? link(one.page) : ''));
    const kept = found.kept.map((one) => make('li', {}, make('strong', {}, one.table), ' ', link(one.url),
      one.page && one.page !== one.url ? ' on ' : '', one.page && one.page !== one.url ? link(one.page) : ''));
    const used = found.triplets.map((card) => make('li', {}, make('bdi', {}, card.instruction), ' — ',
      card.left_out ? `planned, left out: ${card.left_out}` : `exported in ${card.split}`));
    const parts = [facts('Turned down', rejects), facts('Kept', kept), facts('In triplets', used)].filter(Boolean);
    const more = found.cut ? make('p', { class: 'hint' }, 'There is more than is shown here.') : null;
    const none = make('p', {}, 'No committed table has this address. It may not have been met, or its part is still being made.');
    at('answer').replaceChildren(...(parts.length ? parts : [none]), ...(more ? [more] : []));
  } catch (error) {
    at('answer').textContent = 'No answer: ' + error.message;
  }
}

start({
  live: true,
  examples: (table, reason) => answer('/api/examples?' + query({ table, reason })),
  triplets: async (wanted, from, most) => {
    const found = await answer('/api/triplets?' + query({ ...wanted, offset: from, limit: most }));
    return { ...found, words: ` (${Math.round(found.took_ms)} ms)` };
  },
  mark: (triplet_id, mark, reviewer) => answer('/api/marks', { method: 'POST',
    headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ triplet_id, mark, reviewer: reviewer || null }) }),
});
at('ask').addEventListener('submit', lookUp);
follow();
