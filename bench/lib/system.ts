import http from 'node:http';
import { BayServiceDefinition } from '../../proto/gen/shipyard/bay/v1/bay.js';
import { ExecutionServiceDefinition } from '../../proto/gen/shipyard/execution/v1/execution_service.js';
import type { StartExecutionRequest } from '../../proto/gen/shipyard/execution/v1/execution.js';
import { createClient } from '../../proto/rpc/client.js';
import type { Client } from '../../proto/rpc/definition.js';
import { dialMux, type MuxLink } from '../../proto/rpc/mux/mux-grpc.js';
import { startOwnBay, type OwnBay } from '../../scripts/lib/bay.mjs';

interface ShipSpec {
  readonly cpus: number;
  readonly memory: string;
}

/** Our side: Bay and one ship, over one keep-alive HTTP connection and one mux stream. */
export class System {
  readonly agent = new http.Agent({ keepAlive: true, maxSockets: 1, noDelay: true });
  readonly session = 'bench';

  private constructor(
    readonly bay: OwnBay,
    readonly link: MuxLink,
    readonly shipId: string,
    readonly executions: Client<typeof ExecutionServiceDefinition>,
  ) {}

  /** @param spec of the one ship; a small node has no room for the usual one beside others */
  static async start(
    environment: Record<string, string> = {},
    spec: ShipSpec = { cpus: 2, memory: '2g' },
  ): Promise<System> {
    const bay = await startOwnBay(environment);
    try {
      return await System.#createShip(bay, spec);
    } catch (error) {
      await bay.stop();
      throw error;
    }
  }

  static async #createShip(bay: OwnBay, spec: ShipSpec): Promise<System> {
    const link = await dialMux(`127.0.0.1:${bay.grpcPort}`, { token: bay.token, signal: AbortSignal.timeout(10_000) });
    const bayService = createClient(BayServiceDefinition, link.connection);
    const { shipId } = await bayService.createShip({
      sessionId: 'bench',
      ttlSeconds: 3600,
      spec,
      maxSessionNum: 1, // nobody else joins it
    });
    const system = new System(bay, link, shipId, createClient(ExecutionServiceDefinition, link.connection));
    await system.exec('ipython/exec', { code: '1+1' }); // every row finds a kernel, whichever rows run
    return system;
  }

  async stop(): Promise<void> {
    this.agent.destroy();
    this.link.connection.close();
    await this.bay.stop();
  }

  /** `POST /ship/{id}/exec`; answers `data`. */
  async exec<T>(type: string, payload: object): Promise<T> {
    const body = Buffer.from(JSON.stringify({ type, payload }));
    const answer = (await this.request('POST', `/ship/${this.shipId}/exec`, body)) as { data: T };
    return answer.data;
  }

  request(method: string, path: string, body?: Buffer): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${this.bay.token}`,
        'x-session-id': this.session,
        'content-type': 'application/json',
        'content-length': body?.length ?? 0,
      };
      const request = http.request(
        { agent: this.agent, host: '127.0.0.1', port: this.bay.port, method, path, headers },
        (response) => {
          const pieces: Buffer[] = [];
          response.on('data', (piece: Buffer) => pieces.push(piece));
          response.on('end', () => {
            const text = Buffer.concat(pieces).toString();
            if ((response.statusCode ?? 500) >= 300) reject(new Error(`${response.statusCode} ${text}`));
            else resolve(text === '' ? undefined : JSON.parse(text));
          });
          response.on('error', reject);
        },
      );
      request.on('error', reject);
      request.end(body);
    });
  }

  /** Streams the events of new work as bytes and throws them away; answers the bytes, encoding included. */
  async drain(work: NonNullable<StartExecutionRequest['work']>): Promise<number> {
    let bytes = 0;
    for await (const event of this.executions.startExecution(this.#start(work))) bytes += event.length;
    return bytes;
  }

  events(work: NonNullable<StartExecutionRequest['work']>): AsyncIterable<Uint8Array> {
    return this.executions.startExecution(this.#start(work));
  }

  #start(work: NonNullable<StartExecutionRequest['work']>): StartExecutionRequest {
    return {
      shipId: this.shipId,
      sessionId: this.session,
      executionId: '',
      lifetime: 'LIFETIME_UNSPECIFIED' as StartExecutionRequest['lifetime'],
      timeoutMs: 0,
      queueTimeoutMs: 0,
      work,
    };
  }
}

export const cell = (code: string): NonNullable<StartExecutionRequest['work']> => ({
  $case: 'cell',
  value: { code, silent: false, allowStdin: false, kernelGeneration: 0 },
});
export const command = (line: string): NonNullable<StartExecutionRequest['work']> => ({
  $case: 'command',
  value: { command: line, argv: [], cwd: '', env: {}, stdin: false, background: false },
});
