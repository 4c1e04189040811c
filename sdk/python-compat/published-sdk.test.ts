/** The published SDK of the original Shipyard, unmodified, with a Bay and ships of this checkout. */
import { execFile } from 'node:child_process';
import { startOwnBay, type OwnBay } from '../../scripts/lib/bay.mjs';
import { publishedSdkPython } from '../../src/e2e/testing/python-sdk.js';

let bay: OwnBay;
beforeAll(async () => void (bay = await startOwnBay({ MAX_SHIP_NUM: '100' })), 60_000);
afterAll(async () => void (await bay?.stop()), 30_000);

describe('the published Python SDK', () => {
  it('works in every class, method and documented example', async () => {
    const { code, text } = await unittest(await publishedSdkPython());
    if (code !== 0) throw new Error(text);
    expect(text).toMatch(/^Ran [1-9]\d* tests/m);
  }, 600_000);
});

/** @returns the exit code and everything that was written */
function unittest(python: string): Promise<{ code: number; text: string }> {
  const env = {
    ...process.env,
    SHIPYARD_ENDPOINT: bay.url,
    SHIPYARD_TOKEN: bay.token,
    PYTHONDONTWRITEBYTECODE: '1',
  };
  const options = { cwd: import.meta.dirname, env, timeout: 500_000, maxBuffer: 16 * 1024 * 1024 };
  return new Promise((resolve) => {
    execFile(python, ['-m', 'unittest', '-v', 'test_published_sdk'], options, (error, stdout, stderr) =>
      resolve({ code: error ? 1 : 0, text: stdout + stderr }),
    );
  });
}
