import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { AGENT_NAME, certificatesOf, type Issued } from './certificates.js';

const SECRET = Buffer.alloc(32, 7);
const SHIP = { id: 'ship-1', incarnation: 3 };

/** What the agent's server says to a client; rejects where either refuses the other. */
async function talk(
  agent: Issued & { caPem: string },
  client: Issued & { caPem: string },
  servername = AGENT_NAME,
): Promise<string> {
  const server = createServer(
    { cert: agent.certPem, key: agent.keyPem, ca: agent.caPem, requestCert: true, rejectUnauthorized: true },
    (socket) => socket.end('welcome'),
  ).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const options = { host: '127.0.0.1', port, servername, cert: client.certPem, key: client.keyPem, ca: client.caPem };
  const socket: TLSSocket = connect(options);
  try {
    let said = '';
    for await (const chunk of socket as AsyncIterable<Buffer>) said += chunk.toString();
    // A client that was refused may read an end before it hears why.
    if (said === '') throw new Error('refused');
    return said;
  } finally {
    socket.destroy();
    server.close();
  }
}

describe('certificatesOf', () => {
  const mine = certificatesOf(SECRET, SHIP);
  const [agent, bay] = [
    { ...mine.agent, caPem: mine.caPem },
    { ...mine.bay, caPem: mine.caPem },
  ];

  it('lets Bay and the agent of one incarnation speak', async () => {
    expect(await talk(agent, bay)).toBe('welcome');
  });

  it('makes the very same ones in every Bay of a deployment', () => {
    expect(certificatesOf(Buffer.alloc(32, 7), { ...SHIP })).toEqual(mine);
  });

  it.each([
    ['another ship', certificatesOf(SECRET, { id: 'ship-2', incarnation: 3 })],
    ['another incarnation', certificatesOf(SECRET, { id: 'ship-1', incarnation: 4 })],
    ['another deployment', certificatesOf(Buffer.alloc(32, 8), SHIP)],
  ])('lets nobody in who was let into %s', async (_, theirs) => {
    await expect(talk(agent, { ...theirs.bay, caPem: mine.caPem })).rejects.toThrow();
    await expect(talk({ ...theirs.agent, caPem: mine.caPem }, bay)).rejects.toThrow();
  });

  it('lets no agent speak as Bay, nor under another name', async () => {
    await expect(talk(agent, agent)).rejects.toThrow();
    await expect(talk(agent, bay, 'bay.ship')).rejects.toThrow();
  });

  it('writes certificates that OpenSSL reads as they are meant', () => {
    const [authority, leaf] = [new X509Certificate(mine.caPem), new X509Certificate(mine.agent.certPem)];
    expect(authority.ca).toBe(true);
    expect(leaf).toMatchObject({ ca: false, subject: `CN=${AGENT_NAME}`, subjectAltName: `DNS:${AGENT_NAME}` });
    expect(leaf.checkIssued(authority)).toBe(true);
    expect(leaf.verify(authority.publicKey)).toBe(true);
    expect(new Date(leaf.validTo).getUTCFullYear()).toBe(9999);
  });
});
