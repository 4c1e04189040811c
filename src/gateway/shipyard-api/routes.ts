/**
 * Which route a path means, by the rules of Starlette: on the decoded path, a full match before one with another
 * method, and a redirect where only a trailing slash is wrong.
 */

export type RouteName =
  | 'root'
  | 'health'
  | 'stat'
  | 'listShips'
  | 'createShip'
  | 'getShip'
  | 'deleteShip'
  | 'exec'
  | 'logs'
  | 'extendTtl'
  | 'upload'
  | 'download';

export type RouteMatch =
  | { readonly kind: 'found'; readonly name: RouteName; readonly shipId: string }
  | { readonly kind: 'wrong-method'; readonly allow: string }
  /** The path to go to instead, still decoded. */
  | { readonly kind: 'redirect'; readonly path: string }
  | { readonly kind: 'unknown' };

interface Route {
  readonly name: RouteName;
  readonly method: string;
  readonly segments: readonly string[];
}

const ID = '{id}';

/** In the order in which Starlette looks: /ship/logs/exec is the logs of the ship "exec". */
const ROUTES: readonly Route[] = [
  { name: 'root', method: 'GET', segments: [''] },
  { name: 'health', method: 'GET', segments: ['health'] },
  { name: 'stat', method: 'GET', segments: ['stat'] },
  { name: 'listShips', method: 'GET', segments: ['ships'] },
  { name: 'createShip', method: 'POST', segments: ['ship'] },
  { name: 'getShip', method: 'GET', segments: ['ship', ID] },
  { name: 'deleteShip', method: 'DELETE', segments: ['ship', ID] },
  { name: 'exec', method: 'POST', segments: ['ship', ID, 'exec'] },
  { name: 'logs', method: 'GET', segments: ['ship', 'logs', ID] },
  { name: 'extendTtl', method: 'POST', segments: ['ship', ID, 'extend-ttl'] },
  { name: 'upload', method: 'POST', segments: ['ship', ID, 'upload'] },
  { name: 'download', method: 'GET', segments: ['ship', ID, 'download'] },
];

/** What Fastify is given, so that everything under these paths comes to `matchRoute`. */
export const MOUNT_PATHS = ['/', '/health', '/health/*', '/stat', '/stat/*', '/ships', '/ships/*', '/ship', '/ship/*'];

/** @param path decoded, without the query */
export function matchRoute(method: string, path: string): RouteMatch {
  const match = matchExactly(method, path);
  if (match.kind !== 'unknown' || path === '/' || !path.endsWith('/')) return match;
  const shorter = path.replace(/\/+$/, '') || '/';
  return matchExactly(method, shorter).kind === 'unknown' ? match : { kind: 'redirect', path: shorter };
}

function matchExactly(method: string, path: string): RouteMatch {
  const segments = path.slice(1).split('/');
  const allowed: string[] = [];
  for (const route of ROUTES) {
    const shipId = matchSegments(route.segments, segments);
    if (shipId === undefined) continue;
    if (route.method === method) return { kind: 'found', name: route.name, shipId };
    allowed.push(route.method);
  }
  return allowed.length === 0 ? { kind: 'unknown' } : { kind: 'wrong-method', allow: allowed.join(', ') };
}

function matchSegments(pattern: readonly string[], segments: readonly string[]): string | undefined {
  if (pattern.length !== segments.length) return undefined;
  let shipId = '';
  for (let index = 0; index < pattern.length; index++) {
    const segment = segments[index] as string;
    if (pattern[index] === ID && segment !== '') shipId = segment;
    else if (pattern[index] !== segment) return undefined;
  }
  return shipId;
}

/** Percent-decoding that never fails, as Python's unquote: stray signs stay, bytes that are no UTF-8 become U+FFFD. */
export function unquote(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/(?:%[0-9a-fA-F]{2})+/g, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'));
}

/**
 * Fastify's `rewriteUrl`, for paths that it would refuse as malformed though the documented routes answer them: the
 * path is spelled anew so that every `%` begins a valid sequence.
 */
export function repairUrl(url: string): string {
  const end = url.indexOf('?') === -1 ? url.length : url.indexOf('?');
  const path = url.slice(0, end);
  if (!path.includes('%') || isDecodable(path)) return url;
  const repaired = path.split('/').map((segment) => encodeURIComponent(unquote(segment)));
  return repaired.join('/') + url.slice(end);
}

function isDecodable(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}
