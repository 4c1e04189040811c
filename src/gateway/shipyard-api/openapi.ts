export const documentedPaths = {};
