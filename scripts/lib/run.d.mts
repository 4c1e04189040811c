/** The checkout's folder. */
export const root: string;
/** Whether a command succeeds. */
export function works(command: string, args: readonly string[], options?: object): boolean;
