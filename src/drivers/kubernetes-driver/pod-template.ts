import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ConfigError } from '../../config/config-error.js';
import { toError } from '../system-error.js';
import type { PodTemplate } from './options.js';

/** A Pod, or the `template` of what makes Pods; what is in `spec` the API server judges. */
const schema = z.strictObject({
  apiVersion: z.string().optional(),
  kind: z.literal('Pod').optional(),
  metadata: z
    .strictObject({
      labels: z.record(z.string(), z.string()).optional(),
      annotations: z.record(z.string(), z.string()).optional(),
    })
    .optional(),
  spec: z.record(z.string(), z.unknown()).optional(),
});

/** @throws ConfigError that names KUBE_POD_TEMPLATE and what is wrong with the file */
export async function readPodTemplate(file: string): Promise<PodTemplate> {
  const refuse = (allowed: string) => new ConfigError([{ variable: 'KUBE_POD_TEMPLATE', value: file, allowed }]);
  const { loadYaml } = await import('@kubernetes/client-node');
  let text: unknown;
  try {
    text = loadYaml(readFileSync(file, 'utf8'));
  } catch (error) {
    throw refuse(`must be a file of YAML or JSON: ${toError(error).message.split('\n')[0]}`);
  }
  const parsed = schema.safeParse(text);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`);
  throw refuse(`must hold metadata.labels, metadata.annotations and spec of a Pod: ${issues.join('; ')}`);
}
