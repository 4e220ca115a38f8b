/** What every command ends with: 0 is well, 128 and a signal's number is a stop from outside. */
export const EXIT = { ok: 0, failed: 1, configInvalid: 3, interrupted: 130, terminated: 143 } as const;
