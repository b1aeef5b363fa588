import { createHash } from 'node:crypto'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { multiaddr } from '@multiformats/multiaddr'
import { emit, fail } from './events.js'
import { payload } from './payload.js'
import { watchRemovals, watchRpcs, watchStreams, watchVerdicts } from './watch.js'

const sha256 = data => createHash('sha256').update(data).digest('hex')

export class Runner {
  counter = 0
  counts = { duplicates: 0 }
  // Publishing happens in the order it was asked for, one burst at a time.
  publishing = Promise.resolve()

  constructor (node, options, ids) {
    this.node = node
    this.pubsub = node.services.pubsub
    this.options = options
    this.topic = options.topic
    this.ids = ids
  }

  watch () {
    const { node, pubsub } = this
    watchRpcs(pubsub)
    watchVerdicts(pubsub, this.counts)
    watchStreams(pubsub)
    watchRemovals(pubsub, this.topic)
    node.addEventListener('peer:connect', e => emit('connected', { peer: e.detail.toString() }))
    node.addEventListener('peer:disconnect', e => emit('disconnected', { peer: e.detail.toString() }))
    pubsub.addEventListener('subscription-change', e => this.subscriptions(e.detail))
    for (const name of ['graft', 'prune']) {
      pubsub.addEventListener(`gossipsub:${name}`, ({ detail }) => {
        emit(name, { topic: detail.topic, peer: detail.peerId, dir: detail.direction === 'inbound' ? 'in' : 'out' })
      })
    }
    pubsub.addEventListener('gossipsub:message', e => this.message(e.detail))
  }

  subscriptions ({ peerId, subscriptions }) {
    for (const { topic, subscribe } of subscriptions) {
      if (topic === this.topic) {
        emit(subscribe ? 'peer_joined' : 'peer_left', { topic, peer: peerId.toString() })
      }
    }
  }

  message ({ propagationSource, msg }) {
    emit('message', {
      topic: msg.topic,
      id: this.ids.get(msg.data),
      author: msg.from?.toString() ?? null,
      seqno: msg.sequenceNumber?.toString() ?? null,
      received_from: propagationSource.toString(),
      size: msg.data.byteLength,
      sha256: sha256(msg.data)
    })
  }

  subscribe () {
    this.pubsub.subscribe(this.topic)
  }

  connect (addr) {
    this.node.dial(multiaddr(addr)).catch(fail)
  }

  // Without a mesh, or topic peers when not subscribed, a message would go to
  // nobody.
  async publishWhenMet (burst) {
    while (!this.hasTarget()) {
      await setTimeout(20)
    }
    this.burst(burst)
  }

  hasTarget () {
    const subscribed = this.pubsub.getTopics().includes(this.topic)
    return (subscribed ? this.pubsub.getMeshPeers(this.topic) : this.pubsub.getSubscribers(this.topic)).length > 0
  }

  burst ({ count, min, max, interval_ms: interval = 0, seed = 1 }) {
    this.publishing = this.publishing.then(async () => {
      for (let i = 0; i < count; i++) {
        // Reading and writing only go on between two turns of the loop.
        await (i > 0 && interval > 0 ? setTimeout(interval) : setImmediate())
        await this.publish(payload(seed, this.counter++, min, max))
      }
      emit('done_publishing')
    })
  }

  async publish (data) {
    try {
      await this.pubsub.publish(this.topic, data)
      emit('published', { id: this.ids.get(data), sha256: sha256(data), size: data.byteLength })
    } catch (err) {
      fail(err)
    }
  }

  do (command) {
    switch (command.do) {
      case 'publish': return this.burst(command)
      case 'publish_data':
        this.publishing = this.publishing.then(() => this.publish(new Uint8Array(Buffer.from(command.data, 'base64'))))
        return
      case 'connect': return this.connect(command.addr)
      case 'subscribe': return this.subscribe()
      case 'unsubscribe': return this.pubsub.unsubscribe(this.topic)
      case 'peers': return this.peers()
      default: throw new Error(`unknown command ${JSON.stringify(command.do)}`)
    }
  }

  peers () {
    const connected = this.node.getPeers().map(String)
    emit('peers', {
      connected,
      topic_peers: this.pubsub.getSubscribers(this.topic).map(String),
      mesh: this.pubsub.getMeshPeers(this.topic),
      duplicates: this.counts.duplicates,
      ...(this.options.score ? { scores: Object.fromEntries(connected.map(p => [p, this.pubsub.getScore(p)])) } : {})
    })
  }
}
