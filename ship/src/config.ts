/**
 * The agent's configuration: one JSON file that the driver writes with mode 0600 and names as the only argument, or,
 * where the argument is "-", the same on standard input. It holds the token, so it never passes through the environment
 * or the command line.
 */
import { z } from 'zod';

/** Where the agent serves Bay. */
const listen = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('unix'),
    path: z.string(),
    /**
     * Lets other users connect, a Bay outside the container that is not its root, and makes the socket's folder so that
     * they can pass. The token is asked for as ever.
     */
    shared: z.boolean().default(false),
  }),
  z.object({
    kind: z.literal('tcp'),
    host: z.string(),
    /** 0: any. */
    port: z.number().int().min(0).max(65_535),
    /** Mutual TLS: nobody is served who cannot show a certificate that `caPem` signed. */
    tls: z.object({ certPem: z.string(), keyPem: z.string(), caPem: z.string() }).optional(),
  }),
]);

/** How a session's sandbox is made; decided by the driver, carried out by workspace/sandbox-command.ts. */
const sandbox = z.discriminatedUnion('kind', [
  /** bubblewrap by root without a user namespace: an own uid for each session. */
  z.object({ kind: z.literal('bwrap-uid'), bwrap: z.string() }),
  /** bubblewrap unprivileged: a user namespace for each session. */
  z.object({ kind: z.literal('bwrap-userns'), bwrap: z.string() }),
  /** In a container: an own uid for each session, and no namespace of its own. Needs CAP_SETUID and CAP_SETGID alone. */
  z.object({ kind: z.literal('uid') }),
  /** LOCAL_DRIVER_ISOLATION=none. */
  z.object({ kind: z.literal('none') }),
]);

export const agentConfigSchema = z.object({
  shipId: z.string(),
  incarnation: z.number().int(),
  token: z.string().min(32),
  listen,
  /** The agent's own, 0700: execution logs and index. Outlives the incarnation. */
  stateDir: z.string(),
  /** Homes of sessions: <homesDir>/<home_name>/workspace. Outlives the incarnation. */
  homesDir: z.string(),
  /** Sockets and scratch of this incarnation; on a short path. */
  runDir: z.string(),
  /** ship/python of the installation. */
  supportDir: z.string(),
  python: z.object({
    /** The interpreter that has ipykernel (of a virtual environment, or /usr/bin/python3). */
    executable: z.string(),
    /** Directories to bind read-only so that it works: its prefix and its base prefix. */
    prefixes: z.array(z.string()),
  }),
  sandbox,
  /** Bytes of a session's /tmp, which lie in memory, and with it the size of its smaller kin. Unset: no bound of its own. */
  tmpBytes: z.number().int().positive().optional(),
  /** More directories to bind read-only into sessions. */
  readOnlyPaths: z.array(z.string()).default([]),
  /** A resolv.conf to show inside, where the network is not the host's. */
  resolvConf: z.string().optional(),
  /** The session's environment beyond PATH, HOME, USER and TERM (decisions: LANG, TZ, proxy, CA, index, SHIP_ENV_*). */
  environment: z.record(z.string(), z.string()).default({}),
  maxSessionNum: z.number().int().positive().default(1),
  /** Whose sandbox is started beside the agent, as Bay will bind it. */
  firstSession: z.object({ sessionId: z.string(), uid: z.number().int(), homeName: z.string() }).optional(),
  /**
   * cgroup directories whose files tell of memory (v1 or v2), where there are any. `container`: the agent's own, wherever its
   * container shows them; Bay does not know which version the machine has.
   */
  cgroup: z
    .union([
      z.object({ version: z.union([z.literal(1), z.literal(2)]), memory: z.string().optional() }),
      z.literal('container'),
    ])
    .optional(),
  executionLogMaxBytes: z
    .number()
    .int()
    .positive()
    .default(1024 ** 3),
  shipLogMaxBytes: z
    .number()
    .int()
    .positive()
    .default(4 * 1024 ** 3),
  /** Ends 5 s after the last link to Bay and removes what it owns (demo, tests). */
  ephemeral: z.boolean().default(false),
  logLevel: z.string().default('info'),
  /** Where stdout and stderr lead; the agent keeps it to two files of this size (agent-log.ts). */
  logFile: z.object({ path: z.string(), maxBytes: z.number().int().positive() }).optional(),
});

export type AgentConfig = z.infer<typeof agentConfigSchema>;
