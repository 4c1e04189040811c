/** Ids of controls that are remembered, so that a repeat does nothing. */
const REMEMBERED = 64;

/** The last control ids of an execution or a kernel. An empty id is never a repeat. */
export class ControlMemory {
  readonly #ids = new Set<string>();

  has(control: string, id: string): boolean {
    return id !== '' && this.#ids.has(`${control} ${id}`);
  }

  add(control: string, id: string): void {
    if (id === '') return;
    this.#ids.add(`${control} ${id}`);
    if (this.#ids.size > REMEMBERED) this.#ids.delete(this.#ids.values().next().value!);
  }
}
