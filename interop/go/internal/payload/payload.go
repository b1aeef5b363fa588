// Package payload makes message data that a reader in any language can make
// again from the seed. See ../../../README.md for the rule.
package payload

import "encoding/binary"

// Header is the counter and the seed, which make each payload unique.
const Header = 8

// Make returns the data of message number counter.
func Make(seed, counter uint32, min, max int) []byte {
	state := seed ^ counter*0x9E3779B1
	if state == 0 {
		state = 1
	}
	next := func() uint32 {
		state ^= state << 13
		state ^= state >> 17
		state ^= state << 5
		return state
	}
	if min < Header {
		min = Header
	}
	if max < min {
		max = min
	}
	size := min + int(next()%uint32(max-min+1))
	out := make([]byte, (size+3)/4*4)
	binary.BigEndian.PutUint32(out, counter)
	binary.BigEndian.PutUint32(out[4:], seed)
	for i := Header; i < len(out); i += 4 {
		binary.BigEndian.PutUint32(out[i:], next())
	}
	return out[:size]
}
