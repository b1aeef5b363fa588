import { createHash } from 'node:crypto'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'

function goId (msg) {
  if (msg.type !== 'signed') {
    return createHash('sha256').update(msg.data).digest()
  }
  const seqno = Buffer.alloc(8)
  seqno.writeBigUInt64BE(msg.sequenceNumber)
  return Buffer.concat([msg.from.toMultihash().bytes, seqno])
}

// Fills `ids` with the id of each message, by its data: publish() does not
// return the id.
function watchIds (pubsub, ids) {
  const { msgIdFn } = pubsub
  pubsub.msgIdFn = async msg => {
    const id = await msgIdFn(msg)
    ids.set(msg.data, Buffer.from(id).toString('hex'))
    return id
  }
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

export async function makeNode (options, ids) {
  const node = await createLibp2p({
    start: false,
    ...(options.rsa ? { privateKey: await generateKeyPair('RSA', 2048) } : {}),
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
        ...(options.goIds ? { msgIdFn: goId } : {}),
        scoreParams: scoring(options)
      })
    }
  })
  watchIds(node.services.pubsub, ids)
  return node
}
