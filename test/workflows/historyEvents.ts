/** What is in a workflow's history, in the JSON form of Temporal's tools: events, and the sizes of its payloads. */

export interface HistoryJson {
  events: Record<string, unknown>[];
}

export interface HistorySummary {
  events: number;
  payloads: number;
  largest: { bytes: number; of: string };
}

export function readEvents(history: unknown): HistorySummary {
  const summary: HistorySummary = { events: 0, payloads: 0, largest: { bytes: 0, of: 'nothing' } };
  for (const event of (history as HistoryJson).events) {
    summary.events += 1;
    for (const text of payloadsIn(event)) {
      summary.payloads += 1;
      if (text.length > summary.largest.bytes) {
        const activity = JSON.stringify(event).match(/"activityType":\{"name":"(\w+)"/)?.[1];
        summary.largest = { bytes: text.length, of: [event['eventType'], activity].filter(Boolean).join(' ') };
      }
    }
  }
  return summary;
}

/** The payloads' contents; decoded, so that their length is the one that counts. */
export function payloadsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const { data, metadata } = value as { data?: unknown; metadata?: unknown };
  if (typeof data === 'string' && metadata !== undefined) return [Buffer.from(data, 'base64').toString('utf8')];
  return Object.values(value).flatMap(payloadsIn);
}
