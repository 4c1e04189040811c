import { createClient } from '../client.js';
import type { Client } from '../definition.js';
import { startRpcServer } from '../grpc-server.js';
import { createRouter } from '../router.js';
import { Probe, ProbeDefinition, settled } from '../testing/probe-service.js';
import { INITIAL_CREDIT_BYTES } from './frame.js';
import { dialMux } from './mux-grpc.js';

/** Client → Bay → Ship, as Bay forwards. */
describe('a stream over two hops of mux', () => {
  it('stops its producer when the far reader stops, and ends it when the reader leaves', async () => {
    const probe = new Probe();
    const shipRouter = createRouter({ services: [[ProbeDefinition, probe]] });
    const ship = await startRpcServer({ address: '127.0.0.1:0', router: shipRouter, mux: {} });
    const shipLink = await dialMux(ship.address);
    const forward: Client<typeof ProbeDefinition> = createClient(ProbeDefinition, shipLink.connection);
    const pour: Probe['pour'] = (request, ctx) =>
      forward.pour(request, { signal: ctx.signal }) as ReturnType<Probe['pour']>;
    const bayRouter = createRouter({ services: [[ProbeDefinition, Object.assign(new Probe(), { pour })]] });
    const bay = await startRpcServer({ address: '127.0.0.1:0', router: bayRouter, mux: {} });
    const bayLink = await dialMux(bay.address);

    const messageBytes = 10_000;
    const answers = createClient(ProbeDefinition, bayLink.connection)
      .pour({ bytes: messageBytes })
      [Symbol.asyncIterator]();
    await answers.next();
    const atRest = await settled(() => probe.poured);
    expect(atRest).toBeLessThanOrEqual(2 * (INITIAL_CREDIT_BYTES + 2 * messageBytes) + messageBytes);

    for (let i = 0; i < 200; i++) await answers.next();
    expect(await settled(() => probe.poured)).toBeGreaterThan(atRest);

    await answers.return?.();
    await shipRouter.idle();
    expect(probe.left).toEqual(['pour']);
    bayLink.connection.close();
    shipLink.connection.close();
    await Promise.all([bay.stop({ drainMs: 50 }), ship.stop({ drainMs: 50 })]);
  });
});
