// A js-libp2p GossipSub peer that is driven by lines of JSON.
import { createInterface } from 'node:readline'
import { makeNode } from './node.js'
import { parse } from './options.js'
import { Runner } from './runner.js'
import { emit, fail } from './events.js'

const options = parse(process.argv.slice(2))
const ids = new WeakMap()
const node = await makeNode(options, ids)
const runner = new Runner(node, options, ids)

async function quit () {
  await Promise.race([node.stop(), new Promise(resolve => setTimeout(resolve, 1000))])
  process.exit(0)
}

runner.watch()
await node.start()
if (options.subscribe) {
  runner.subscribe()
}
emit('listening', {
  peer: node.peerId.toString(),
  addrs: node.getMultiaddrs().map(addr => addr.toString())
})

for (const addr of options.connect) {
  runner.connect(addr)
}
if (options.burst.count > 0) {
  runner.publishWhenMet(options.burst)
}
if (options.seconds > 0) {
  setTimeout(quit, options.seconds * 1000)
}

const lines = createInterface({ input: process.stdin })
lines.on('line', line => {
  if (line.trim() === '') {
    return
  }
  try {
    const command = JSON.parse(line)
    if (command.do === 'quit') {
      lines.close()
    } else {
      runner.do(command)
    }
  } catch (err) {
    fail(err)
  }
})
lines.on('close', quit)
