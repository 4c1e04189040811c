/**
 * Content-Disposition for a download, after RFC 6266: a plain ASCII name that every client reads, and, where the name
 * needs more, its UTF-8 form of RFC 5987, which clients prefer.
 *
 * @param path of which the last segment names the file
 */
export function attachmentHeader(path: string): string {
  const name = path.replace(/\/+$/, '').split('/').pop() || 'download';

  const ascii = name.replace(/[^\x20-\x7e]/gu, '_').replace(/["\\]/g, '\\$&');
  const plain = `attachment; filename="${ascii}"`;
  return ascii === name ? plain : `${plain}; filename*=UTF-8''${encodeExtended(name)}`;
}

/** Percent-encoding with the attr-char set of RFC 5987; lone surrogates become U+FFFD. */
function encodeExtended(name: string): string {
  const wellFormed = Buffer.from(name, 'utf8').toString('utf8');
  return encodeURIComponent(wellFormed).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
