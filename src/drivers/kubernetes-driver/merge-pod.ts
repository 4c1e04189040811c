/**
 * What tells the items of a list apart, by the list's name: Kubernetes' own patch merge keys. A list that is not here is
 * replaced as a whole.
 */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  ephemeralContainers: 'name',
  volumes: 'name',
  volumeMounts: 'mountPath',
  volumeDevices: 'devicePath',
  env: 'name',
  ports: 'containerPort',
  imagePullSecrets: 'name',
  hostAliases: 'ip',
  topologySpreadConstraints: 'topologyKey',
  schedulingGates: 'name',
  resourceClaims: 'name',
};

type Value = unknown;
type Fields = Readonly<Record<string, Value>>;

/**
 * Merges a template over a Pod as kubectl's strategic merge does: maps field by field, lists of named things item by item,
 * everything else replaced. `null` takes a field away.
 */
export function mergePod<T extends object>(pod: T, template: object): T {
  return mergeFields(pod as Fields, template as Fields) as T;
}

function mergeFields(base: Fields, over: Fields): Fields {
  const merged: Record<string, Value> = { ...base };
  for (const [name, value] of Object.entries(over)) {
    if (value === null) delete merged[name];
    else merged[name] = mergeValue(name, merged[name], value);
  }
  return merged;
}

function mergeValue(name: string, base: Value, over: Value): Value {
  const key = MERGE_KEYS[name];
  if (Array.isArray(over)) return key !== undefined && Array.isArray(base) ? mergeItems(key, base, over) : over;
  return isFields(base) && isFields(over) ? mergeFields(base, over) : over;
}

function mergeItems(key: string, base: readonly Value[], over: readonly Value[]): Value[] {
  const keyOf = (item: Value) => (isFields(item) ? item[key] : undefined);
  const replaced = base.map((item) => {
    const match = over.find((candidate) => keyOf(candidate) === keyOf(item));
    return isFields(item) && isFields(match) ? mergeFields(item, match) : item;
  });
  const added = over.filter((item) => !base.some((known) => keyOf(known) === keyOf(item)));
  return [...replaced, ...added];
}

const isFields = (value: Value): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
