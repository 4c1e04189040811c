/** Variables that name authorities by files: those of Bay's machine mean nothing in a container. */
const AUTHORITY_FILES = [
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'NODE_EXTRA_CA_CERTS',
  'GIT_SSL_CAINFO',
  'PIP_CERT',
];

/** The sessions' environment: what Bay passes on, with the image's authorities in place of those of Bay's machine. */
export function environmentInside(
  passedOn: Readonly<Record<string, string>>,
  ofImage: Readonly<Record<string, string>>,
): Record<string, string> {
  const environment = { ...passedOn };
  for (const name of AUTHORITY_FILES) {
    delete environment[name];
    const value = ofImage[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}
