/** For containers: leaves with 0 where the Bay of this machine answers /health. Small, since it is run again and again. */
import http from 'node:http';
import https from 'node:https';

const TIMEOUT_MS = 4_000;

const secure = Boolean(process.env['TLS_CERT_FILE']);
const options = {
  host: '127.0.0.1',
  port: Number(process.env['PORT'] || 8156),
  path: '/health',
  timeout: TIMEOUT_MS,
  rejectUnauthorized: false, // it bears the name by which clients know it
};
const leave = (code: number) => process.exit(code);
(secure ? https : http)
  .get(options, ({ statusCode }) => leave(statusCode === 200 ? 0 : 1))
  .on('timeout', () => leave(1))
  .on('error', () => leave(1));
