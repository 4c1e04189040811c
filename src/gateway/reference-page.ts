import { createHash } from 'node:crypto';
import type { OpenApiDocument, Operation } from './openapi.js';

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
h1,h2{line-height:1.2}h2{margin-top:2.5rem;border-bottom:1px solid #d0d7de}
section{margin:1.5rem 0}h3{font:600 15px ui-monospace,monospace;margin:0 0 .3rem}
b.m{display:inline-block;min-width:4.2rem}p{margin:.3rem 0;white-space:pre-line}
table{border-collapse:collapse;margin:.4rem 0;font-size:14px}td{border:1px solid #d0d7de;padding:.2rem .6rem;vertical-align:top}
code{font:13px ui-monospace,monospace}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}h2,td{border-color:#30363d}}`;

/**
 * The API as one plain page without scripts, made from the OpenAPI document.
 *
 * @returns the page, and the content security policy that admits its one style and nothing else
 */
export function referencePage(document: OpenApiDocument): { html: string; policy: string } {
  const byTag = new Map<string, string[]>();
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      const tag = operation.tags?.[0] ?? 'Other';
      const sections = byTag.get(tag) ?? [];
      byTag.set(tag, sections);
      sections.push(renderOperation(method, path, operation));
    }
  }
  const { title, version, description } = document.info;
  const parts = [...byTag].map(([tag, sections]) => `<h2>${escape(tag)}</h2>${sections.join('')}`);
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title><style>${STYLE}</style></head>
<body><h1>${escape(title)} ${escape(version)}</h1><p>${escape(description)}</p>
<p>Every schema: <a href="openapi.json">openapi.json</a>; to try calls out: <a href="docs">docs</a>.</p>
${parts.join('\n')}</body></html>
`;
  const hash = createHash('sha256').update(STYLE).digest('base64');
  const policy = `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
  return { html, policy };
}

function renderOperation(method: string, path: string, operation: Operation): string {
  const parameters = (operation.parameters ?? []).map(
    ({ name, in: place, description }) =>
      `<tr><td><code>${escape(name)}</code></td><td>${escape(place)}</td><td>${escape(description ?? '')}</td></tr>`,
  );
  const responses = Object.entries(operation.responses).map(
    ([status, { description }]) =>
      `<tr><td><code>${escape(status)}</code></td><td>${escape(description ?? '')}</td></tr>`,
  );
  return `<section><h3><b class="m">${escape(method.toUpperCase())}</b>${escape(path)}</h3>
<p>${escape(operation.description ?? operation.summary ?? '')}</p>
${table(parameters)}${table(responses)}</section>`;
}

function table(rows: readonly string[]): string {
  return rows.length === 0 ? '' : `<table>${rows.join('')}</table>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
