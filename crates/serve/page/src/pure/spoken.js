// Text that comes in pieces, for those who hear it: whole sentences, not syllables.

/**
 * How far a text can be read out.
 * @param {string} text all that has come
 * @param {number} said how much of it was read out
 * @param {boolean} over whether nothing more comes
 * @returns {number} up to where to read
 */
export function speakable(text, said, over) {
  if (over) return text.length;
  const rest = text.slice(said);
  const ends = [...rest.matchAll(/[.!?…](?=\s)|\n/g)];
  const last = ends.at(-1);
  if (last) return said + last.index + 1;
  // A model may write without end: then by words.
  if (rest.length < 300) return said;
  const space = rest.lastIndexOf(" ");
  return space > 0 ? said + space : text.length;
}
