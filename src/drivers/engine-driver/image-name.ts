import { StatusError } from '../../../proto/rpc/status-error.js';

/** The grammar of engines and registries; an image's id is a name too. */
const HOST = String.raw`(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::\d+)?`;
const PART = String.raw`[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*`;
const TAG = String.raw`\w[\w.-]{0,127}`;
const DIGEST = String.raw`[a-zA-Z][\w+.-]*:[0-9a-fA-F]{32,}`;
const NAME = new RegExp(`^(?:${HOST}/)?${PART}(?:/${PART})*(?::${TAG})?(?:@${DIGEST})?$`);

/** @throws StatusError DRIVER_REFUSED where no image can have this name */
export function checkImageName(name: string): void {
  if (NAME.test(name)) return;
  const message = `DOCKER_IMAGE=${name} is no name of an image: it is [host[:port]/]name[:tag], its name in lower case and without blanks`;
  throw new StatusError('DRIVER_REFUSED', message);
}
