// The counter and the seed, which make each payload unique.
const HEADER = 8

// The same bytes as the Go peer makes; the rule is in ../README.md.
export function payload (seed, counter, min, max) {
  let state = (seed ^ Math.imul(counter, 0x9E3779B1)) >>> 0
  if (state === 0) {
    state = 1
  }
  const next = () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state
  }
  const low = Math.max(min, HEADER)
  const high = Math.max(max, low)
  const size = low + next() % (high - low + 1)
  const out = new Uint8Array(Math.ceil(size / 4) * 4)
  const view = new DataView(out.buffer)
  view.setUint32(0, counter)
  view.setUint32(4, seed)
  for (let i = HEADER; i < out.length; i += 4) {
    view.setUint32(i, next())
  }
  return out.subarray(0, size)
}
