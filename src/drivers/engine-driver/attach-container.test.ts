import { attachToContainer } from './attach-container.js';
import { bounded, findEngine } from './engine.js';
import { kindOf } from './options.js';
import { testEngines, TEST_IMAGE, type TestEngine } from './testing/test-engines.js';

const { found, missing } = await testEngines();

for (const engine of found) describe(`a container attached to, over ${engine.title}`, () => over(engine));
for (const { title, why } of missing) it.skip(`a container attached to, over ${title} (${why})`, () => undefined);
if (found.length === 0 && missing.length === 0) it.todo('names at least one engine');

function over(subject: TestEngine): void {
  it('reads what it is given, and is heard when it writes to its log, as agents do', async () => {
    const { mode, host } = subject;
    const engine = await findEngine(kindOf(mode), { dockerHost: host, containerHost: host }, bounded());
    const container = await engine.docker.createContainer({
      Image: TEST_IMAGE,
      Entrypoint: ['sh', '-c', 'cat >&2; sleep 60'],
      OpenStdin: true,
      StdinOnce: true,
      AttachStdin: true,
      Healthcheck: { Test: ['NONE'] },
      HostConfig: { NetworkMode: 'none' },
    });
    try {
      const attached = await attachToContainer(engine, container.id, 'given', bounded());
      const heard = new Promise<void>((resolve) => attached.onOutput(resolve));
      await container.start();
      await heard;
      attached.detach();
    } finally {
      await container.remove({ force: true, v: true });
    }
  }, 60_000);
}
