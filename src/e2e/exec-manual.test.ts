/** What /openapi.json says of `POST /ship/{id}/exec`: each example is sent as it stands there, and gives what is promised. */
import { startOwnBay, type OwnBay } from '../../scripts/lib/bay.mjs';
import { EXEC_MANUAL } from '../gateway/shipyard-api/exec/manual.js';
import { V1Calls } from './testing/v1-calls.js';

interface Answer {
  readonly success: boolean;
  readonly data: Record<string, unknown>;
}
interface OpenApi {
  readonly paths: {
    readonly '/ship/{ship_id}/exec': {
      readonly post: {
        readonly requestBody: {
          readonly content: {
            readonly 'application/json': { readonly examples: Record<string, { readonly value: object }> };
          };
        };
      };
    };
  };
}

let bay: OwnBay;
let calls: V1Calls;
let shipId: string;
beforeAll(async () => {
  bay = await startOwnBay();
  calls = new V1Calls(bay);
  ({ shipId } = await calls.createShip('reader'));
}, 60_000);
afterAll(() => bay.stop(), 30_000);

const exec = (body: object) => calls.json<Answer>('POST', `/ship/${shipId}/exec`, 'reader', body);

it('gives what the manual says, for each of its examples and for a background command', async () => {
  const openApi = await calls.json<OpenApi>('GET', '/openapi.json');
  const { examples } = openApi.paths['/ship/{ship_id}/exec'].post.requestBody.content['application/json'];
  const answers: Record<string, Answer> = {};
  for (const [type, { value }] of Object.entries(examples)) answers[type] = await exec(value);
  const { data } = await exec({ type: 'shell/exec', payload: { command: 'sleep 600', background: true } });
  for (const type of Object.keys(EXEC_MANUAL).filter((each) => each.includes('{process_id}')))
    answers[type] = await exec({ type: type.replace('{process_id}', String(data['process_id'])) });

  for (const [type, { gives }] of Object.entries(EXEC_MANUAL)) {
    const keys = gives.map((each) => each.split(':')[0]!);
    expect([type, answers[type]?.success, keys.filter((key) => !(key in answers[type]!.data))]).toEqual([
      type,
      true,
      [],
    ]);
  }
  expect(answers['ipython/exec']?.data).toMatchObject({ success: true, output: { text: '42' } });
  expect(answers['fs/read_file']?.data).toMatchObject({ content: 'two\n' });
}, 60_000);
