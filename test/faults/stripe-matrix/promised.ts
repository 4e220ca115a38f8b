/** A promise and what resolves it. */
export interface Promised<Value> {
  readonly promise: Promise<Value>;
  readonly resolve: (value: Value) => void;
}

/** A promise for what is not begun yet. */
export function promised<Value>(): Promised<Value> {
  const resolvers: ((value: Value) => void)[] = [];
  const promise = new Promise<Value>((resolve) => void resolvers.push(resolve));
  return { promise, resolve: (value) => resolvers[0]?.(value) };
}
