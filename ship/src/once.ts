/** Calls a function the first time only; everybody gets that call's result. A failure may be tried again. */
export function once<A extends unknown[], R>(act: (...args: A) => Promise<R>): (...args: A) => Promise<R> {
  let result: Promise<R> | undefined;
  return (...args) => {
    if (result) return result;
    const acting = act(...args);
    result = acting;
    acting.catch(() => (result = undefined));
    return acting;
  };
}
