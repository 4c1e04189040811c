import { request } from 'node:http';

/**
 * One question to an engine over its socket, answered with JSON.
 *
 * @param {string} socketPath
 * @param {string} path
 * @param {string} method
 * @throws Error with the engine's own words
 */
export function ask(socketPath, path, method = 'GET') {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, method, timeout: 10_000 }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part) => (text += part));
      answer.on('error', reject).on('end', () => {
        if (answer.statusCode >= 300) reject(new Error(`${method} ${path}: ${answer.statusCode} ${text.trim()}`));
        else resolve(text ? JSON.parse(text) : undefined);
      });
    });
    call.on('timeout', () => call.destroy(new Error(`no answer from ${socketPath}`)));
    call.on('error', reject).end();
  });
}
