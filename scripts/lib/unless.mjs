/** A test, or a group of tests, that is left out where something is missing says what in its name, which the run repeats. */
export function unless(why, test) {
  return why ? (name, ...rest) => test.skip(`${name} (${why})`, ...rest) : test;
}
