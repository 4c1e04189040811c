import { createHmac, createPrivateKey, createPublicKey, sign, type KeyObject } from 'node:crypto';
import * as der from './der.js';

export interface Issued {
  readonly certPem: string;
  readonly keyPem: string;
}

/** Who may speak to whom in one incarnation. */
export interface IncarnationCertificates {
  /** The authority of this incarnation alone. Nobody holds its key. */
  readonly caPem: string;
  /** For the agent's server; it names AGENT_NAME. */
  readonly agent: Issued;
  /** For Bay, as a client. */
  readonly bay: Issued;
}

/** The agent's name in its certificate. Which ship it is the authority says: there is one for each incarnation. */
export const AGENT_NAME = 'agent.ship';

const ED25519 = der.sequence(der.objectId('1.3.101.112'));
/** What precedes the 32 bytes of an Ed25519 key in PKCS #8. */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

/**
 * The certificates of an incarnation, made anew wherever they are needed: keys come from the secret, and Ed25519 signs
 * without chance, so that every Bay that has the secret makes the very same ones and none of them has to be kept. They do
 * not run out, since a ship may live for years: the authority is trusted by one agent only, and ends with it.
 *
 * @param secret of the deployment, 32 bytes
 */
export function certificatesOf(
  secret: Buffer,
  ship: { readonly id: string; readonly incarnation: number },
): IncarnationCertificates {
  const keyFor = (role: string): KeyObject => {
    const seed = createHmac('sha256', secret).update(`${role}:${ship.incarnation}:${ship.id}`).digest();
    return createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: 'der', type: 'pkcs8' });
  };
  const authority = keyFor('authority');
  const issue = (serial: number, name: string, key: KeyObject, extensions: readonly Buffer[]): string =>
    certificate({ serial, name, key, extensions }, authority);
  const leaf = (serial: number, name: string, usage: string): Issued => {
    const key = keyFor(name);
    const extensions = [constraints(false), keyUsage(DIGITAL_SIGNATURE), extendedUsage(usage), dnsName(name)];
    return { certPem: issue(serial, name, key, extensions), keyPem: toPem('PRIVATE KEY', pkcs8(key)) };
  };
  return {
    caPem: issue(1, AUTHORITY_NAME, authority, [constraints(true), keyUsage(SIGNS_CERTIFICATES)]),
    agent: leaf(2, AGENT_NAME, SERVER_AUTH),
    bay: leaf(3, 'bay.ship', CLIENT_AUTH),
  };
}

const AUTHORITY_NAME = 'authority.ship';

interface Subject {
  readonly serial: number;
  readonly name: string;
  readonly key: KeyObject;
  readonly extensions: readonly Buffer[];
}

function certificate({ serial, name, key, extensions }: Subject, authority: KeyObject): string {
  const signed = der.sequence(
    der.explicit(0, der.smallInteger(2)), // version 3
    der.smallInteger(serial),
    ED25519,
    commonName(AUTHORITY_NAME),
    der.sequence(der.utcTime('200101000000Z'), der.generalizedTime('99991231235959Z')),
    commonName(name),
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    der.explicit(3, der.sequence(...extensions)),
  );
  return toPem('CERTIFICATE', der.sequence(signed, ED25519, der.bitString(sign(null, signed, authority))));
}

const commonName = (name: string): Buffer =>
  der.sequence(der.set(der.sequence(der.objectId('2.5.4.3'), der.utf8String(name))));

const critical = der.boolean(true);
const DIGITAL_SIGNATURE = der.bitString(Buffer.from([0b1000_0000]), 7);
const SIGNS_CERTIFICATES = der.bitString(Buffer.from([0b0000_0100]), 2);

const constraints = (authority: boolean): Buffer =>
  extension('2.5.29.19', der.sequence(...(authority ? [der.boolean(true)] : [])), critical);
const keyUsage = (bits: Buffer): Buffer => extension('2.5.29.15', bits, critical);
const extendedUsage = (usage: string): Buffer => extension('2.5.29.37', der.sequence(der.objectId(usage)));
const dnsName = (name: string): Buffer =>
  extension('2.5.29.17', der.sequence(der.implicit(2, Buffer.from(name, 'ascii'))));

function extension(id: string, value: Buffer, ...flags: readonly Buffer[]): Buffer {
  return der.sequence(der.objectId(id), ...flags, der.octetString(value));
}

const pkcs8 = (key: KeyObject): Buffer => key.export({ type: 'pkcs8', format: 'der' });

function toPem(label: string, content: Buffer): string {
  const lines = content.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}
