export function tracesOf(engine: { readonly socketPath: string }): Promise<string[]>;
export function removeTestNetwork(engine: { readonly socketPath: string }): Promise<void>;
export function removeFilterOf(network: string): void;
