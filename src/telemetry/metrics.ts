import { Histogram, Registry } from 'prom-client';

/** From a container engine's first answer to a start that waits for a pull. */
const START_BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** What Bay counts, for Prometheus. Labels have small fixed sets of values. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #startPhases = new Histogram({
    name: 'shipyard_ship_start_seconds',
    help: 'Phases of the starts of ships that went well: create, start, join (the network) and listen by the driver, then hello and first_answer.',
    labelNames: ['driver', 'phase'] as const,
    buckets: START_BUCKETS_S,
    registers: [this.#registry],
  });

  shipStarted(driver: string, phasesMs: Readonly<Record<string, number>>): void {
    for (const [phase, ms] of Object.entries(phasesMs)) this.#startPhases.observe({ driver, phase }, ms / 1000);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** In Prometheus's text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
