/** @param why what is missing here; undefined where nothing is */
export function unless<T extends (name: string, ...rest: never[]) => void>(why: string | undefined, test: T): T;
