// A conversation is a tree of messages: editing a message and asking again add a sibling, and nothing is lost.

/**
 * @typedef {object} Message
 * @property {string} id
 * @property {string} parent the message before it, or ROOT
 * @property {"user" | "assistant"} role
 * @property {string} text
 * @property {string} [model]
 * @property {string | null} [finish] why it ended
 * @property {number} [tokens]
 * @property {number} [rate] tokens in a second
 * @property {1 | -1} [rating]
 * @property {boolean} [edited] written by the user over an answer
 *
 * @typedef {object} Tree
 * @property {Record<string, Message>} messages by id
 * @property {Record<string, string[]>} children by the id of their parent, oldest first
 * @property {Record<string, string>} chosen which child is shown
 */

export const ROOT = "root";

/** @returns {Tree} */
export const empty = () => ({ messages: {}, children: {}, chosen: {} });

/**
 * Adds a message after `parent` and shows it.
 * @param {Tree} tree
 * @param {Message} message
 */
export function add(tree, message) {
  if (message.parent !== ROOT && !tree.messages[message.parent]) throw new Error(`there is no message ${message.parent}`);
  if (tree.messages[message.id]) throw new Error(`there is a message ${message.id} already`);
  tree.messages[message.id] = message;
  tree.children[message.parent] = [...(tree.children[message.parent] ?? []), message.id];
  tree.chosen[message.parent] = message.id;
}

/**
 * The messages that are shown, first to last.
 * @param {Tree} tree
 * @returns {Message[]}
 */
export function shown(tree) {
  const found = [];
  for (let at = tree.chosen[ROOT]; at !== undefined; at = tree.chosen[at]) found.push(tree.messages[at]);
  return found;
}

/**
 * The messages up to this one, itself included.
 * @param {Tree} tree
 * @param {string} id
 * @returns {Message[]}
 */
export function upTo(tree, id) {
  const found = [];
  for (let at = id; at !== ROOT; at = tree.messages[at].parent) found.unshift(tree.messages[at]);
  return found;
}

/**
 * Which of its siblings a message is, from 0, and how many they are.
 * @param {Tree} tree
 * @param {string} id
 */
export function place(tree, id) {
  const siblings = tree.children[tree.messages[id].parent];
  return { at: siblings.indexOf(id), of: siblings.length };
}

/**
 * Shows the sibling `by` places further.
 * @param {Tree} tree
 * @param {string} id
 * @param {number} by
 * @returns {string} the message that is shown now
 */
export function turn(tree, id, by) {
  const { parent } = tree.messages[id];
  const siblings = tree.children[parent];
  const to = siblings[Math.min(Math.max(siblings.indexOf(id) + by, 0), siblings.length - 1)];
  tree.chosen[parent] = to;
  return to;
}

/**
 * Takes a message and all that follows it away; the sibling before it is shown.
 * @param {Tree} tree
 * @param {string} id
 */
export function remove(tree, id) {
  const { parent } = tree.messages[id];
  const before = place(tree, id).at - 1;
  const left = tree.children[parent].filter((child) => child !== id);
  const gone = [id];
  for (const one of gone) gone.push(...(tree.children[one] ?? []));
  for (const one of gone) {
    delete tree.messages[one];
    delete tree.children[one];
    delete tree.chosen[one];
  }
  if (left.length > 0) {
    tree.children[parent] = left;
    tree.chosen[parent] = left[Math.max(before, 0)];
  } else {
    delete tree.children[parent];
    delete tree.chosen[parent];
  }
}

/**
 * Whether something read from storage is a tree all of whose parts are there.
 * @param {any} tree
 * @returns {tree is Tree}
 */
export function whole(tree) {
  const isMap = (/** @type {unknown} */ value) => value !== null && typeof value === "object" && !Array.isArray(value);
  if (!isMap(tree) || !isMap(tree.messages) || !isMap(tree.children) || !isMap(tree.chosen)) return false;
  const parents = Object.keys(tree.children);
  const listed = new Set();
  for (const parent of parents) {
    const children = tree.children[parent];
    if (parent !== ROOT && !tree.messages[parent]) return false;
    if (!Array.isArray(children) || children.length === 0 || !children.includes(tree.chosen[parent])) return false;
    for (const child of children) {
      if (listed.has(child) || tree.messages[child]?.parent !== parent || typeof tree.messages[child].text !== "string") return false;
      listed.add(child);
    }
  }
  if (Object.keys(tree.chosen).length !== parents.length || Object.keys(tree.messages).length !== listed.size) return false;
  // Every message must be reached from the root: a ring of messages would never end.
  let reached = 0;
  const open = [ROOT];
  for (const one of open) {
    reached += 1;
    open.push(...(tree.children[one] ?? []));
  }
  return reached === listed.size + 1;
}
