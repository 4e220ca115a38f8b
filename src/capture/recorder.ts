/** Where capture writes its lines: the journal of this process, or an array in a test. Never throws. */
export interface Recorder {
  /** True when a response may end only after its line is on the disk (`durability: power`). */
  readonly durable: boolean;
  /** Takes one journal entry as JSON text; it is in the file when this returns. False = refused; the recorder tells why. */
  append(json: string): boolean;
  /** As append; `done` is called later, once the line has reached the disk, or with the reason why it could not. */
  appendDurable(json: string, done: (error?: Error) => void): void;
}
