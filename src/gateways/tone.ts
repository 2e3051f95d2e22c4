/** A tone in G.711, and which tone is in it. */

/** 20 ms of a sine in PCMU. Its frequency is a multiple of 50 Hz: the next 20 ms are the same. */
export function pcmuTone(hz: number): Buffer {
  return Buffer.from(
    Array.from({ length: 160 }, (_, n) => toPcmu(8_000 * Math.sin((2 * Math.PI * hz * (n + 0.5)) / 8_000))),
  );
}

/** ITU-T G.711 µ-law: sign, exponent and mantissa, all bits inverted. */
export function toPcmu(sample: number): number {
  const magnitude = Math.min(32_635, Math.round(Math.abs(sample))) + 132;
  const exponent = Math.max(0, Math.floor(Math.log2(magnitude)) - 7);
  const mantissa = (magnitude >> (exponent + 3)) & 0x0f;
  return ~((sample < 0 ? 0x80 : 0) | (exponent << 4) | mantissa) & 0xff;
}

/** Counts how often the signal begins to be positive: both laws have the sign in the first bit. */
export class ToneDetector {
  #isPositive = true;
  #rises = 0;
  #loud = 0;
  #samples = 0;
  #toneHz: number | undefined;

  get toneHz(): number | undefined {
    return this.#samples >= enough ? this.#estimate() : this.#toneHz;
  }

  /** `mask`: the bits that the law inverts. */
  hear(payload: Uint8Array, mask: 0xff | 0x55): void {
    for (const octet of payload) {
      const isPositive = (octet & 0x80) !== 0;
      if (isPositive && !this.#isPositive) this.#rises += 1;
      this.#isPositive = isPositive;
      if (((octet ^ mask) & 0x7f) > silence) this.#loud += 1;
    }
    this.#samples += payload.length;
    if (this.#samples < window) return;
    this.#toneHz = this.#estimate();
    this.#rises = 0;
    this.#loud = 0;
    this.#samples = 0;
  }

  #estimate(): number | undefined {
    if (this.#loud * 4 < this.#samples) return undefined;
    return Math.round((this.#rises * 8_000) / this.#samples / 10) * 10;
  }
}

/** Samples: half a second, a tenth. */
const window = 4_000;
const enough = 800;

/** Exponent and mantissa of what is no more than noise. */
const silence = 0x30;
