// A report: all data is in the document.

const data = JSON.parse(at('data').textContent);

function holds(card, wanted) {
  const has = (text, part) => text.toLowerCase().includes(part.toLowerCase());
  const between = (value, min, max) => (min === undefined || value >= Number(min)) && (max === undefined || value <= Number(max));
  const words = (wanted.words || '').split(/\s+/).filter(Boolean);
  return words.every((word) => has(card.instruction, word)) && (!wanted.domain || has(card.domain, wanted.domain)) &&
    ['split', 'generator', 'language'].every((name) => !wanted[name] || card[name] === wanted[name]) &&
    between(card.visual, wanted.visual_min, wanted.visual_max) && between(card.text, wanted.text_min, wanted.text_max);
}

start({
  live: false,
  examples: async (table, reason) => (data.examples[table] || {})[reason] || [],
  triplets: async (wanted, from, most) => {
    const found = data.cards.filter((card) => holds(card, wanted));
    return { total: found.length, items: found.slice(from, from + most) };
  },
});
showSurvey(data.survey);
const all = data.survey.triplets.exported;
at('sampled').textContent = data.cards.length < all
  ? `A sample of ${count(data.cards.length)} of ${count(all)} triplets is in this file; mine serve shows all of them.`
  : `All ${count(all)} triplets are in this file.`;
show(0);
