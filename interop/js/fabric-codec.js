// Reads and writes Fabric's messages with the codec that Fabric's own Node SDK uses.
//
// Each line of stdin is {"type": "gossip.Envelope", "data": base64}; each line of stdout
// says what is in it and what it is once encoded again: {"object": {...}, "data": base64},
// or {"error": "..."}. Run with node fabric-codec.js.
import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const load = name => require(`@hyperledger/fabric-protos/lib/${name}_pb.js`)

const packages = {
  common: [
    load('common/common'), load('common/configtx'), load('common/configuration'),
    load('common/policies'), load('msp/msp_principal')
  ],
  gossip: [load('gossip/message')],
  msp: [load('msp/identities'), load('msp/msp_config')],
  orderer: [load('orderer/configuration')],
  protos: [load('peer/configuration')],
  etcdraft: [load('orderer/etcdraft/configuration')],
  smartbft: [load('orderer/smartbft/configuration')]
}

// The generated code reads 64-bit numbers into doubles, which round above 2^53. The library
// underneath can also give them as text: let it, and nothing else is changed.
const { BinaryReader, BinaryWriter } = createRequire(
  require.resolve('@hyperledger/fabric-protos/lib/gossip/message_pb.js')
)('google-protobuf')
BinaryReader.prototype.readUint64 = BinaryReader.prototype.readUint64String
BinaryReader.prototype.readInt64 = BinaryReader.prototype.readInt64String
BinaryWriter.prototype.writeUint64 = BinaryWriter.prototype.writeUint64String
BinaryWriter.prototype.writeInt64 = BinaryWriter.prototype.writeInt64String

function find (type) {
  const [name, message] = type.split('.')
  const module = packages[name]?.find(one => message in one)
  if (module === undefined) {
    throw new Error(`no type ${type}`)
  }
  return module[message]
}

function answer ({ type, data }) {
  try {
    const message = find(type).deserializeBinary(Buffer.from(data, 'base64'))
    const again = Buffer.from(message.serializeBinary()).toString('base64')
    return { object: message.toObject(), data: again }
  } catch (error) {
    return { error: error.message }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(answer(JSON.parse(line))) + '\n')
}
