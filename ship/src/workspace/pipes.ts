import { Socket, type SocketConstructorOpts } from 'node:net';
import { Readable, type Writable } from 'node:stream';

/**
 * A pipe end as Node's IPC channel hands it over ("net.Native"): the bare handle, which becomes a stream in exactly one
 * direction here. Owned by whoever holds it; a handle that is not opened must be closed.
 */
export interface PipeHandle {
  close(): void;
}

export function isPipeHandle(value: unknown): value is PipeHandle {
  return typeof value === 'object' && value !== null && 'close' in value && typeof value.close === 'function';
}

/** Room in front of every chunk of a large reader's buffer, for those who put a header before it without copying. */
export const CHUNK_HEADROOM_BYTES = 16;

/** Node's own stream on the pipe: chunks of up to 64 KiB. */
export function openPipeReader(handle: PipeHandle): Readable {
  return new Socket({ handle, readable: true, writable: false } as SocketConstructorOpts);
}

/** Ends by closing the pipe, after everything written has gone into it. */
export function openPipeWriter(handle: PipeHandle, highWaterMark: number): Writable {
  return new Socket({
    handle,
    readable: false,
    writable: true,
    writableHighWaterMark: highWaterMark,
  } as SocketConstructorOpts);
}

/**
 * A reader for the contents of files: chunks of up to `chunkBytes` read straight into buffers of their own, which is
 * three times as fast as 64 KiB at a time. The end waits for `verify`, because a pipe looks the same at its end whether
 * its writer was done or died; it gets the bytes read and rejects where some are missing.
 */
export class LargePipeReader extends Readable {
  private readonly socket: Socket;
  private bytes = 0;

  constructor(handle: PipeHandle, options: { chunkBytes: number; verify: (bytes: number) => Promise<void> }) {
    // Objects, because a stream of bytes may join chunks, which copies them and loses the room in front.
    super({ objectMode: true, highWaterMark: 2 });
    const buffer = (): Uint8Array =>
      Buffer.allocUnsafeSlow(CHUNK_HEADROOM_BYTES + options.chunkBytes).subarray(CHUNK_HEADROOM_BYTES);
    const callback = (count: number, chunk: Uint8Array): boolean => {
      this.bytes += count;
      return this.push(chunk.subarray(0, count));
    };
    this.socket = new Socket({
      handle,
      readable: true,
      writable: false,
      onread: { buffer, callback },
    } as SocketConstructorOpts);
    this.socket.on('error', (error) => this.destroy(error));
    this.socket.on('end', () => {
      options.verify(this.bytes).then(
        () => this.push(null),
        (error: unknown) => this.destroy(error instanceof Error ? error : new Error(String(error))),
      );
    });
  }

  override _read(): void {
    this.socket.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.socket.destroy();
    callback(error);
  }
}
