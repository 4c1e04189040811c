import { BayServiceDefinition } from '../gen/shipyard/bay/v1/bay.js';
import { ExecutionServiceDefinition } from '../gen/shipyard/execution/v1/execution_service.js';
import { FileServiceDefinition } from '../gen/shipyard/execution/v1/file_service.js';
import { RAW_RESPONSE_METHODS } from './definition.js';
import { toService } from './service.js';

describe('toService', () => {
  const execution = toService(ExecutionServiceDefinition);
  const method = (key: string) => execution.methods.find((candidate) => candidate.key === key);

  it('names methods and their paths as gRPC does', () => {
    expect(method('startExecution')).toMatchObject({
      name: 'StartExecution',
      path: '/shipyard.execution.v1.ExecutionService/StartExecution',
      service: 'shipyard.execution.v1.ExecutionService',
    });
  });

  it('tells the four kinds apart', () => {
    const kinds = [execution, toService(FileServiceDefinition)].flatMap(({ methods }) => methods);
    const kindOf = (key: string) => kinds.find((candidate) => candidate.key === key)?.kind;
    expect([kindOf('getExecution'), kindOf('startExecution'), kindOf('upload')]).toEqual([
      'unary',
      'server-stream',
      'client-stream',
    ]);
  });

  it('reads google.api.http, path, body and verb', () => {
    expect(method('startExecution')?.http).toEqual([
      { verb: 'POST', path: '/v1/ships/{ship_id}/executions', body: '*', responseBody: '' },
    ]);
    expect(method('shutdownKernel')?.http).toMatchObject([{ verb: 'DELETE', path: '/v1/ships/{ship_id}/kernel' }]);
  });

  it('gives additional bindings as entries of their own', () => {
    const rule = [0x12, 2, 0x2f, 0x61, 0x5a, 7, 0x22, 2, 0x2f, 0x62, 0x3a, 1, 0x2a];
    const options = { _unknownFields: { 578365826: [Buffer.from([rule.length, ...rule])] } };
    const echo = { ...BayServiceDefinition.methods.getShip, options };
    const service = toService({ name: 'S', fullName: 'p.S', methods: { echo } });
    expect(service.methods[0]?.http).toEqual([
      { verb: 'GET', path: '/a', body: '', responseBody: '' },
      { verb: 'POST', path: '/b', body: '*', responseBody: '' },
    ]);
  });

  it('marks exactly the raw methods', () => {
    const all = [execution, toService(FileServiceDefinition), toService(BayServiceDefinition)];
    const raw = all.flatMap(({ methods }) => methods).filter(({ rawResponse }) => rawResponse);
    expect(raw.map(({ key }) => key).sort()).toEqual([...RAW_RESPONSE_METHODS].sort());
  });

  it('finds a binding with a leading slash and a verb for every rpc that has one', () => {
    for (const { http } of [...execution.methods, ...toService(BayServiceDefinition).methods]) {
      for (const binding of http) expect(binding.path).toMatch(/^\/v1\//);
    }
    expect(execution.methods.every(({ http }) => http.length > 0)).toBe(true);
  });

  it('is made once for a definition', () => {
    expect(toService(ExecutionServiceDefinition)).toBe(execution);
  });
});
