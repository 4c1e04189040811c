import type { BayServiceDefinition } from '../../../proto/gen/shipyard/bay/v1/bay.js';
import { ExecutionEvent, type StartExecutionRequest } from '../../../proto/gen/shipyard/execution/v1/execution.js';
import type { ExecutionServiceDefinition } from '../../../proto/gen/shipyard/execution/v1/execution_service.js';
import {
  DownloadResponse,
  type FileServiceDefinition,
  type UploadRequest,
} from '../../../proto/gen/shipyard/execution/v1/file_service.js';
import type { Client } from '../../../proto/rpc/definition.js';
import { isStatusError } from '../../../proto/rpc/status-error.js';
import { foldLog, toCellOutcome, toCommandOutcome } from './fold.js';
import { WayError, type Ability, type SessionWay, type Way } from './way.js';

export interface Services {
  readonly bay: Client<typeof BayServiceDefinition>;
  readonly executions: Client<typeof ExecutionServiceDefinition>;
  readonly files: Client<typeof FileServiceDefinition>;
}

/** The ways that speak the protos themselves: gRPC, one HTTP/2 stream a call, and mux, one stream for all. */
export function callsWay(
  name: string,
  services: Services,
  abilities: readonly Ability[],
  close: () => Promise<void>,
): Way {
  return {
    name,
    abilities: new Set(abilities),
    createShip: (session, { ttlSeconds = 600, maxSessionNum = 1 } = {}) =>
      plainly(
        async () =>
          (await services.bay.createShip({ sessionId: session, ttlSeconds, maxSessionNum, spec: undefined })).shipId,
      ),
    deleteShip: (shipId) => plainly(async () => void (await services.bay.deleteShip({ shipId, keepWorkspace: false }))),
    in: (shipId, sessionId) => new CallsSession(services, { shipId, sessionId }),
    close,
  };
}

class CallsSession implements SessionWay {
  constructor(
    private readonly services: Services,
    private readonly name: { shipId: string; sessionId: string },
  ) {}

  private start(request: Partial<StartExecutionRequest>) {
    return plainly(() =>
      foldLog(decodeEvents(this.services.executions.startExecution(startRequest({ ...this.name, ...request })))),
    );
  }

  async runCell(code: string, { timeoutSeconds = 30, silent = false } = {}) {
    const cell = { code, silent, allowStdin: false, kernelGeneration: 0 };
    return toCellOutcome(await this.start({ work: { $case: 'cell', value: cell }, timeoutMs: timeoutSeconds * 1000 }));
  }
  async runCommand(command: string, { timeoutSeconds = 30, cwd = '', env = {} } = {}) {
    const value = { command, argv: [], cwd, env, stdin: false, background: false };
    return toCommandOutcome(await this.start({ work: { $case: 'command', value }, timeoutMs: timeoutSeconds * 1000 }));
  }

  writeFile(path: string, content: string) {
    return plainly(async () => {
      await this.services.files.writeText({
        ...this.name,
        path,
        content,
        encoding: '',
        append: false,
        mode: undefined,
      });
    });
  }
  readFile(path: string) {
    return plainly(
      async () =>
        (await this.services.files.readText({ ...this.name, path, encoding: '', offset: undefined, limit: undefined }))
          .content,
    );
  }
  editFile(path: string, oldString: string, newString: string) {
    return plainly(
      async () =>
        (
          await this.services.files.editText({
            ...this.name,
            path,
            oldString,
            newString,
            replaceAll: false,
            encoding: '',
          })
        ).replacements,
    );
  }
  deleteFile(path: string) {
    return plainly(async () => void (await this.services.files.deleteFile({ ...this.name, path })));
  }
  listNames(path: string) {
    return plainly(async () =>
      (await this.services.files.listDirectory({ ...this.name, path, showHidden: false })).files.map(
        (file) => file.name,
      ),
    );
  }

  upload(path: string, data: Uint8Array) {
    const name = this.name;
    async function* parts(): AsyncGenerator<UploadRequest> {
      yield { part: { $case: 'header', value: { ...name, path, mode: undefined, sizeBytes: data.length } } };
      for (let at = 0; at < data.length; at += 256 * 1024) {
        yield { part: { $case: 'data', value: Buffer.from(data.subarray(at, at + 256 * 1024)) } };
      }
    }
    return plainly(async () => void (await this.services.files.upload(parts())));
  }
  download(path: string) {
    return plainly(async () => {
      const pieces: Buffer[] = [];
      for await (const bytes of this.services.files.download({ ...this.name, path, offset: 0, length: 0 })) {
        const { part } = DownloadResponse.decode(bytes);
        if (part?.$case === 'data') pieces.push(part.value);
      }
      return new Uint8Array(Buffer.concat(pieces));
    });
  }
}

export function startRequest(request: Partial<StartExecutionRequest>): StartExecutionRequest {
  return {
    shipId: '',
    sessionId: '',
    executionId: '',
    lifetime: 'LIFETIME_UNSPECIFIED' as StartExecutionRequest['lifetime'],
    timeoutMs: 0,
    queueTimeoutMs: 0,
    work: undefined,
    ...request,
  };
}

export async function* decodeEvents(stream: AsyncIterable<Uint8Array>): AsyncGenerator<ExecutionEvent> {
  for await (const bytes of stream) yield ExecutionEvent.decode(bytes);
}

async function plainly<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (isStatusError(error)) throw new WayError(error.codes.http, error.message);
    throw error;
  }
}
