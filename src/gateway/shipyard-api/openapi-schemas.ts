/** Schemas that the documented routes share in /openapi.json. */

const properties = {
  id: { type: 'string', description: 'UUIDv4.' },
  status: { type: 'integer', enum: [0, 1], description: '1: running.' },
  created_at: { type: 'string', description: 'UTC, without an offset.' },
  updated_at: { type: 'string', description: 'UTC, without an offset.' },
  container_id: { type: ['string', 'null'] },
  ip_address: { type: ['string', 'null'] },
  ttl: { type: 'integer', description: 'Whole seconds until the last lease ends.' },
  max_session_num: { type: 'integer' },
  current_session_num: { type: 'integer', description: 'Sessions that hold a lease now.' },
  expires_at: { type: ['string', 'null'], format: 'date-time', description: 'Null where the ship does not run.' },
};

export const ship = {
  type: 'object',
  required: Object.keys(properties),
  properties: {
    ...properties,
    state_reason: { type: 'string', description: 'Why the ship does not run; not there while it does.' },
  },
};
