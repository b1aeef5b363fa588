import { createHash } from 'node:crypto'
import { publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'

function messageId (options, msg) {
  if (msg.type !== 'signed') {
    return createHash('sha256').update(msg.data).digest()
  }
  const seqno = Buffer.alloc(8)
  seqno.writeBigUInt64BE(msg.sequenceNumber)
  // This library's own choice is the public key, which no other peer's gossip
  // would name.
  const from = options.goIds
    ? msg.from.toMultihash().bytes
    : publicKeyToProtobuf(msg.from.publicKey ?? msg.key)
  return Buffer.concat([from, seqno])
}

// The address of every peer in a test is the same, which the default scoring
// would punish; without --score on misbehaviour has no weight either.
function scoring (options) {
  return {
    IPColocationFactorWeight: 0,
    appSpecificWeight: 0,
    ...(options.score ? {} : { behaviourPenaltyWeight: 0 })
  }
}

// `ids` is filled with the id of each message, by its data: publish() does not
// return the id.
export function makeNode (options, ids) {
  return createLibp2p({
    start: false,
    addresses: { listen: [options.listen] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    // Every inbound connection of a test comes from one address.
    connectionManager: { inboundConnectionThreshold: 1000 },
    services: {
      identify: identify(),
      ping: ping(),
      pubsub: gossipsub({
        ...options.degrees,
        allowPublishToZeroTopicPeers: true,
        floodPublish: options.floodPublish,
        globalSignaturePolicy: options.strict ? 'StrictSign' : 'StrictNoSign',
        msgIdFn: msg => {
          const id = messageId(options, msg)
          ids.set(msg.data, Buffer.from(id).toString('hex'))
          return id
        },
        scoreParams: scoring(options)
      })
    }
  })
}
