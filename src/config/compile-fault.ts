/** Why a path, filter or expression does not compile, and at which of its characters, where that is known. */
export interface CompileFault {
  readonly message: string;
  readonly offset?: number;
}

/** Runs a compiler of core and gives its complaint; null when it has none. */
export function faultOf(compile: () => unknown): CompileFault | null {
  try {
    compile();
    return null;
  } catch (error) {
    if (!(error instanceof Error)) return { message: "cannot be compiled" };
    const { message } = error;
    return "offset" in error && typeof error.offset === "number" ? { message, offset: error.offset } : { message };
  }
}
