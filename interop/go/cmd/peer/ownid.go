package main

import (
	"encoding/hex"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
)

// ownMessage is the message being published. Publish does not return the id,
// so it is caught where the router computes it.
type ownMessage struct {
	data []byte
	id   string
}

func (t *tracer) watchID(id pubsub.MsgIdFunction) pubsub.MsgIdFunction {
	return func(m *pb.Message) string {
		s := id(m)
		t.mu.Lock()
		defer t.mu.Unlock()
		// The router keeps the slice it was given: the same address is the
		// same message.
		if len(m.Data) > 0 && len(t.own.data) > 0 && &m.Data[0] == &t.own.data[0] {
			t.own.id = hex.EncodeToString([]byte(s))
		}
		return s
	}
}

func (t *tracer) beginPublish(data []byte) {
	t.mu.Lock()
	t.own = ownMessage{data: data}
	t.mu.Unlock()
}

func (t *tracer) publishedID() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.own.id
}
