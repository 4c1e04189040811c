/** The few HTTP calls of the demo, over `/v1`; what any client would write. */
export class Client {
  #url;
  #headers;

  constructor({ url, token }, session) {
    this.#url = url;
    this.#headers = { authorization: `Bearer ${token}`, 'x-session-id': session };
  }

  async json(method, path, body) {
    const response = await this.#fetch(method, path, body);
    return response.status === 204 ? undefined : response.json();
  }

  /** Starts work and yields its events as they happen. */
  async *execute(ship, work) {
    const response = await this.#fetch('POST', `/v1/ships/${ship}/executions`, work);
    const decoder = new TextDecoder();
    let rest = '';
    for await (const piece of response.body) {
      const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
      rest = lines.pop();
      for (const line of lines.filter(Boolean)) {
        const event = JSON.parse(line);
        if (event.error?.reason) throw new Error(event.error.message);
        yield event;
      }
    }
  }

  async #fetch(method, path, body) {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const headers = body === undefined ? this.#headers : { ...this.#headers, 'content-type': 'application/json' };
    const response = await fetch(this.#url + path, { method, headers, ...sent });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  }
}
