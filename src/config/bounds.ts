/** Bounds of reading a configuration; at each one the file is refused with a problem that names the bound. */
export const bounds = {
  /** Characters of the whole text. */
  textLengthMax: 512 * 1024,
  /** Maps and lists inside each other. The YAML parser recurses, so this is checked on the text before it runs. */
  nestingMax: 64,
  /** Nodes that YAML aliases may add in all: an alias bomb is refused, a few shared blocks are fine. */
  aliasedNodesMax: 10_000,
  /** Nodes of a configuration given as an object. */
  objectNodesMax: 100_000,
  /** Problems shown; the first ones by position. */
  problemsMax: 200,
  /** Characters of a message or a shown value. */
  messageLengthMax: 300,
  /** Characters of a meter, plan, field or label name. */
  nameLengthMax: 64,
} as const;
