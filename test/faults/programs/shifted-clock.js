// Preloaded (`--import`) by programs of the fault tests: their clock runs CLOCK_OFFSET_MS ahead, so that windows close and
// leases end without waiting. Worker threads inherit it.
const offsetMs = Number(process.env["CLOCK_OFFSET_MS"] ?? 0);
const RealDate = Date;

globalThis.Date = /** @type {DateConstructor} */ (
  /** @type {unknown} */ (
    class extends RealDate {
      /** @param {any[]} given */
      constructor(...given) {
        // @ts-expect-error: Date's overloads cannot be written as a spread.
        super(...(given.length === 0 ? [RealDate.now() + offsetMs] : given));
      }
      /** @override */
      static now() {
        return RealDate.now() + offsetMs;
      }
    }
  )
);
