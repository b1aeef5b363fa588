import { emit } from './events.js'

const count = list => (list ?? []).reduce((sum, entry) => sum + entry.messageIDs.length, 0)
const topics = list => (list ?? []).map(entry => entry.topicID)

function control (dir, peer, c) {
  const fields = {
    dir,
    peer,
    graft: topics(c?.graft),
    prune: topics(c?.prune),
    ihave: count(c?.ihave),
    iwant: count(c?.iwant),
    idontwant: count(c?.idontwant)
  }
  if (fields.graft.length + fields.prune.length + fields.ihave + fields.iwant + fields.idontwant > 0) {
    emit('rpc', fields)
  }
}

// The library has no hook for control messages; these are the methods that all
// of them pass through.
export function watchRpcs (pubsub) {
  const { handleReceivedRpc, sendRpc, sendRpcInBatch } = pubsub
  pubsub.handleReceivedRpc = function (from, rpc) {
    control('in', from.toString(), rpc.control)
    return handleReceivedRpc.call(this, from, rpc)
  }
  pubsub.sendRpc = function (id, rpc) {
    const sent = sendRpc.call(this, id, rpc)
    // Looked at afterwards because waiting control is added on the way.
    if (sent) {
      control('out', id, rpc.control)
    }
    return sent
  }
  pubsub.sendRpcInBatch = function (ids, rpc) {
    sendRpcInBatch.call(this, ids, rpc)
    for (const id of ids) {
      control('out', id, rpc.control)
    }
  }
}

export function watchVerdicts (pubsub, counts) {
  const { validateReceivedMessage } = pubsub
  pubsub.validateReceivedMessage = async function (from, msg) {
    const result = await validateReceivedMessage.call(this, from, msg)
    if (result.code === 'duplicate') {
      counts.duplicates++
    } else if (result.code === 'invalid') {
      emit('rejected', { received_from: from.toString(), reason: String(result.error ?? result.reason) })
    }
    return result
  }
}

export function watchStreams (pubsub) {
  const { createOutboundStream } = pubsub
  pubsub.createOutboundStream = async function (peerId, connection) {
    const id = peerId.toString()
    const had = this.streamsOutbound.has(id)
    await createOutboundStream.call(this, peerId, connection)
    const stream = this.streamsOutbound.get(id)
    if (!had && stream != null) {
      emit('stream', { peer: id, protocol: stream.protocol })
    }
  }
}

// A peer that goes away leaves its topics without an event of the library's.
export function watchRemovals (pubsub, topic) {
  const { removePeer } = pubsub
  pubsub.removePeer = function (peerId) {
    const peer = peerId.toString()
    const joined = this.topics.get(topic)?.has(peer) === true
    removePeer.call(this, peerId)
    if (joined) {
      emit('peer_left', { topic, peer })
    }
  }
}
