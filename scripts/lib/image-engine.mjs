import { createWriteStream } from 'node:fs';
import { createRequire } from 'node:module';
import { pipeline } from 'node:stream/promises';
import { openBuildContext } from './build-context.mjs';

/** An engine as one who makes images sees it; Docker and Podman alike. */
export class ImageEngine {
  #docker;

  /** @param {{ socketPath: string }} engine */
  constructor({ socketPath }) {
    // Here, since the npm packages may be installed by the same script.
    const Docker = createRequire(import.meta.url)('dockerode');
    this.#docker = new Docker({ socketPath });
  }

  /** For what it builds where nothing else is asked for: amd64, arm64. */
  async architecture() {
    return (await this.#docker.version()).Arch;
  }

  /** What the engine knows of an image, or undefined where it is not there. */
  async inspect(name) {
    try {
      return await this.#docker.getImage(name).inspect();
    } catch (error) {
      if (error.statusCode === 404) return undefined;
      throw error;
    }
  }

  /** Fetches an image. Rejects where nothing came for a while. */
  async pull(name, { idleMs, platform }) {
    const giveUp = new AbortController();
    const late = () => giveUp.abort(new Error(`no registry answered within ${idleMs} ms`));
    let timer = setTimeout(late, idleMs);
    try {
      const stream = await this.#docker.pull(name, { ...given({ platform }), abortSignal: giveUp.signal });
      await this.#follow(stream, () => {
        clearTimeout(timer);
        timer = setTimeout(late, idleMs);
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Writes an image to a file, as `docker save` does. */
  async save(name, file) {
    await pipeline(await this.#docker.getImage(name).get(), createWriteStream(file));
  }

  /** Reads an image from a file, as save() writes it. */
  async load(file) {
    await this.#follow(await this.#docker.loadImage(file, { quiet: true }), () => {});
  }

  /**
   * Builds an image from a folder, less what its .dockerignore names.
   *
   * @param {{ context: string, dockerfile?: string, target?: string, tag: string, platform?: string, args?: Record<string, string> }} wanted
   * @param {(text: string) => void} onText hears what the build prints
   */
  async build({ context, dockerfile = 'Dockerfile', target, tag, platform, args = {} }, onText = () => {}) {
    const options = { dockerfile, t: tag, buildargs: args, forcerm: true, ...given({ target, platform }) };
    const stream = await this.#docker.buildImage(openBuildContext(context), options);
    await this.#follow(stream, ({ stream: text }) => text && onText(text));
  }

  /** Removes what earlier builds left without a name. */
  async prune() {
    await this.#docker.pruneImages({ filters: { dangling: ['true'], label: ['org.shipyard.image=true'] } });
  }

  #follow(stream, onEvent) {
    return new Promise((resolve, reject) => {
      const done = (error, events) => {
        const failure = error ?? events.find(({ error: text }) => text);
        if (failure) reject(error ?? new Error(failure.error));
        else resolve();
      };
      this.#docker.modem.followProgress(stream, done, onEvent);
    });
  }
}

/** Without what is undefined, which a query would say as the empty word. */
const given = (options) => Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
