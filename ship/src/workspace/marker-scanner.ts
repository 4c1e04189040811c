/** Finds a marker in a stream of chunks, split however. Holds back only what may be its beginning. */
export class MarkerScanner {
  private held: Buffer = Buffer.alloc(0);

  constructor(private readonly marker: Buffer) {}

  /** The bytes before the marker that are sure; what follows the marker is nobody's. */
  scan(chunk: Buffer): { output: Buffer; found: boolean } {
    const data = this.held.length > 0 ? Buffer.concat([this.held, chunk]) : chunk;
    const at = data.indexOf(this.marker);
    if (at >= 0) {
      this.held = Buffer.alloc(0);
      return { output: data.subarray(0, at), found: true };
    }
    const keep = this.beginningAtEnd(data);
    this.held = Buffer.from(data.subarray(data.length - keep));
    return { output: data.subarray(0, data.length - keep), found: false };
  }

  /** What was held back, when no more will come. */
  rest(): Buffer {
    const rest = this.held;
    this.held = Buffer.alloc(0);
    return rest;
  }

  /** Length of the longest beginning of the marker that ends the data. */
  private beginningAtEnd(data: Buffer): number {
    for (let length = Math.min(this.marker.length - 1, data.length); length > 0; length--) {
      if (this.marker[0] !== data[data.length - length]) continue;
      if (this.marker.subarray(0, length).equals(data.subarray(data.length - length))) return length;
    }
    return 0;
  }
}
