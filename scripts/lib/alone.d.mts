/** Does something while no other process of this machine does what has the same name; waits for its turn. */
export function alone<T>(name: string, act: () => Promise<T>, onWait?: () => void): Promise<T>;
