/** The middle value; of an even count the mean of the two. NaN of nothing. */
export function median(values) {
  return quantile(values, 0.5);
}

/** The value below which `share` of the values lie, interpolated. */
export function quantile(values, share) {
  if (values.length === 0) return Number.NaN;
  const sorted = values.toSorted((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - low);
}

/** What two identical servers differ by in four rounds of five: what is below it is noise. */
export function noiseOf(differences) {
  return quantile(differences.map(Math.abs), 0.8);
}

/** Slope of the least-squares line through [x, y] points. */
export function slope(points) {
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length;
  const across = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  return across / points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
}

/** The same list, begun elsewhere and every other time backwards, so that no variant always follows the same neighbour. */
export function rotated(list, round) {
  const turned = list.map((_, at) => list[(at + round) % list.length]);
  return round % 2 === 0 ? turned : turned.toReversed();
}
