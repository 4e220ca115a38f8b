/** Layout 2, the part of corrections: who put a version of a meter into force for the past, as JSON. */
export const CORRECTION_LAYOUT = `
  ALTER TABLE meter_versions ADD COLUMN replayed TEXT;
`;
