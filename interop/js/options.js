import { parseArgs } from 'node:util'

const spec = {
  topic: { type: 'string' },
  listen: { type: 'string', default: '/ip4/127.0.0.1/tcp/0' },
  connect: { type: 'string', multiple: true, default: [] },
  sign: { type: 'string', default: 'strict' },
  'msg-id': { type: 'string', default: 'go' },
  key: { type: 'string', default: 'ed25519' },
  floodpublish: { type: 'string', default: 'off' },
  score: { type: 'string', default: 'off' },
  // The library has no extensions; taken so that both peers take the same.
  'test-extension': { type: 'string', default: 'off' },
  subscribe: { type: 'string', default: 'on' },
  publish: { type: 'string', default: '0' },
  'min-size': { type: 'string', default: '100' },
  'max-size': { type: 'string', default: '100' },
  'interval-ms': { type: 'string', default: '0' },
  seed: { type: 'string', default: '1' },
  d: { type: 'string', default: '6' },
  dlo: { type: 'string' },
  dhi: { type: 'string', default: '12' },
  seconds: { type: 'string', default: '0' }
}

export function parse (args) {
  const { values: v } = parseArgs({ args, options: spec })
  if (v.topic == null) {
    throw new Error('--topic is needed')
  }
  if (v.sign !== 'strict' && v.sign !== 'none') {
    throw new Error('--sign must be strict or none')
  }
  if (v.key !== 'ed25519' && v.key !== 'rsa') {
    throw new Error('--key must be ed25519 or rsa')
  }
  const d = Number(v.d)
  const dlo = Math.min(Number(v.dlo ?? 4), d)
  return {
    topic: v.topic,
    listen: v.listen,
    connect: v.connect,
    strict: v.sign === 'strict',
    goIds: v['msg-id'] === 'go',
    rsa: v.key === 'rsa',
    floodPublish: v.floodpublish === 'on',
    score: v.score === 'on',
    subscribe: v.subscribe === 'on',
    seconds: Number(v.seconds),
    // The secondary degrees follow the three that can be asked for.
    degrees: {
      D: d,
      Dlo: dlo,
      Dhi: Math.max(Number(v.dhi), d),
      Dscore: Math.min(4, d),
      Dout: Math.max(0, Math.min(2, dlo - 1, Math.floor(d / 2) - 1))
    },
    burst: {
      count: Number(v.publish),
      min: Number(v['min-size']),
      max: Number(v['max-size']),
      interval_ms: Number(v['interval-ms']),
      seed: Number(v.seed)
    }
  }
}
