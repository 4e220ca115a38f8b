/** Room that one call takes for its body. */
export interface BodyClaim {
  /** False, and nothing more taken, when there is no room for so many bytes more. */
  grow(bytes: number): boolean;
  /** Gives back all that was taken. */
  release(): void;
}

/**
 * Bytes of bodies that all calls under way hold together. A call that is alone may go beyond it, or a body that is larger
 * than the room could never be taken.
 */
export class BodyRoom {
  readonly #bytesMax: number;
  #taken = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes that are held now. */
  get taken(): number {
    return this.#taken;
  }

  /** Room for one call, nothing of it taken yet. */
  claim(): BodyClaim {
    let own = 0;
    return {
      grow: (bytes) => {
        const isAlone = this.#taken === own;
        if (!isAlone && this.#taken + bytes > this.#bytesMax) return false;
        own += bytes;
        this.#taken += bytes;
        return true;
      },
      release: () => {
        this.#taken -= own;
        own = 0;
      },
    };
  }
}
