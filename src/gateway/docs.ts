/** The API pages, all from this machine: they work without internet. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FastifyInstance } from 'fastify';
import type { OpenApiDocument } from './openapi.js';
import { referencePage } from './reference-page.js';

const ASSETS: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};

/** Scripts and connections only of this server; style attributes because Swagger UI's markup has some. */
const SWAGGER_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "style-src-attr 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Links are relative, so that the page also works behind a proxy that adds a prefix. */
const SWAGGER_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Bay API</title>
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript; <a href="redoc">the plain reference</a> does not.</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
`;

const START_SCRIPT = `SwaggerUIBundle({
  url: 'openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  validatorUrl: null,
  tryItOutEnabled: false,
  presets: [SwaggerUIBundle.presets.apis],
});
`;

/** @param document made when it is first asked for */
export function registerDocs(app: FastifyInstance, document: () => OpenApiDocument): void {
  let json: string | undefined;
  app.get('/openapi.json', async (_request, reply) => {
    json ??= JSON.stringify(document());
    return reply.type('application/json; charset=utf-8').send(json);
  });

  app.get('/docs', async (_request, reply) =>
    reply.type('text/html; charset=utf-8').headers(pageHeaders(SWAGGER_POLICY)).send(SWAGGER_PAGE),
  );
  app.get('/docs/start.js', async (_request, reply) =>
    reply.type('text/javascript; charset=utf-8').headers(pageHeaders(SWAGGER_POLICY)).send(START_SCRIPT),
  );
  for (const [name, type] of Object.entries(ASSETS)) {
    let content: Buffer | undefined;
    app.get(`/docs/${name}`, async (_request, reply) => {
      content ??= await readAsset(name);
      return reply
        .type(type)
        .headers(pageHeaders(SWAGGER_POLICY))
        .header('cache-control', 'max-age=86400')
        .send(content);
    });
  }

  let page: { html: string; policy: string } | undefined;
  app.get('/redoc', async (_request, reply) => {
    page ??= referencePage(document());
    return reply.type('text/html; charset=utf-8').headers(pageHeaders(page.policy)).send(page.html);
  });
}

function pageHeaders(policy: string): Record<string, string> {
  return {
    'content-security-policy': policy,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  };
}

/** Beside the built program, or from the installed package. */
async function readAsset(name: string): Promise<Buffer> {
  const beside = fileURLToPath(new URL(`./swagger-ui/${name}`, import.meta.url));
  try {
    return await readFile(beside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const installed = createRequire(import.meta.url).resolve('swagger-ui-dist/package.json');
    return readFile(join(dirname(installed), name));
  }
}
