package main

import (
	"sync"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// tracer turns the router's calls into events and keeps what the router does
// not show, such as its mesh.
type tracer struct {
	out   *output
	self  peer.ID
	topic string

	mu         sync.Mutex
	mesh       map[peer.ID]bool
	grafted    chan struct{}
	once       sync.Once
	duplicates int
	scores     map[string]float64
	lastIn     *pubsub.RPC
	own        ownMessage
}

func newTracer(out *output, self peer.ID, topic string) *tracer {
	return &tracer{
		out: out, self: self, topic: topic,
		mesh: map[peer.ID]bool{}, grafted: make(chan struct{}),
	}
}

// inspect sees each RPC before the router acts on it, in the router's own
// goroutine, so that lastIn is what a following Graft or Prune results from.
func (t *tracer) inspect(from peer.ID, rpc *pubsub.RPC) error {
	t.mu.Lock()
	t.lastIn = rpc
	t.mu.Unlock()
	t.control("in", from, rpc.GetControl())
	return nil
}

func (t *tracer) SendRPC(rpc *pubsub.RPC, p peer.ID) {
	t.control("out", p, rpc.GetControl())
}

func (t *tracer) control(dir string, p peer.ID, c *pb.ControlMessage) {
	if c == nil {
		return
	}
	graft, prune := []string{}, []string{}
	for _, g := range c.Graft {
		graft = append(graft, g.GetTopicID())
	}
	for _, g := range c.Prune {
		prune = append(prune, g.GetTopicID())
	}
	var ihave, iwant, idontwant int
	for _, g := range c.Ihave {
		ihave += len(g.MessageIDs)
	}
	for _, g := range c.Iwant {
		iwant += len(g.MessageIDs)
	}
	for _, g := range c.Idontwant {
		idontwant += len(g.MessageIDs)
	}
	t.out.emit("rpc", event{
		"dir": dir, "peer": p.String(), "graft": graft, "prune": prune,
		"ihave": ihave, "iwant": iwant, "idontwant": idontwant,
		"extensions": c.Extensions != nil,
	})
}

// direction says whether the last RPC read asked for this mesh change.
func (t *tracer) direction(p peer.ID, topic string, graft bool) string {
	in := t.lastIn
	if in == nil || in.From() != p {
		return "out"
	}
	if graft {
		for _, g := range in.GetControl().GetGraft() {
			if g.GetTopicID() == topic {
				return "in"
			}
		}
		return "out"
	}
	for _, g := range in.GetControl().GetPrune() {
		if g.GetTopicID() == topic {
			return "in"
		}
	}
	return "out"
}

func (t *tracer) Graft(p peer.ID, topic string) {
	t.mu.Lock()
	dir := t.direction(p, topic, true)
	t.mesh[p] = true
	t.mu.Unlock()
	t.out.emit("graft", event{"topic": topic, "peer": p.String(), "dir": dir})
	t.once.Do(func() { close(t.grafted) })
}

func (t *tracer) Prune(p peer.ID, topic string) {
	t.mu.Lock()
	dir := t.direction(p, topic, false)
	delete(t.mesh, p)
	t.mu.Unlock()
	t.out.emit("prune", event{"topic": topic, "peer": p.String(), "dir": dir})
}

// OnClosedOutboundStream takes a peer out of the mesh without a Prune call.
func (t *tracer) OnClosedOutboundStream(p peer.ID) {
	t.mu.Lock()
	delete(t.mesh, p)
	t.mu.Unlock()
}

func (t *tracer) DuplicateMessage(*pubsub.Message) {
	t.mu.Lock()
	t.duplicates++
	t.mu.Unlock()
}

func (t *tracer) RejectMessage(m *pubsub.Message, reason string) {
	t.out.emit("rejected", event{"received_from": m.ReceivedFrom.String(), "reason": reason})
}

func (t *tracer) DropRPC(_ *pubsub.RPC, p peer.ID) {
	t.out.emit("dropped", event{"what": "rpc", "peer": p.String()})
}

func (t *tracer) UndeliverableMessage(*pubsub.Message) {
	t.out.emit("dropped", event{"what": "message", "peer": t.self.String()})
}

func (t *tracer) OnNewOutboundStream(p peer.ID, id protocol.ID) {
	t.out.emit("stream", event{"peer": p.String(), "protocol": string(id)})
}

func (t *tracer) Join(string)                     {}
func (t *tracer) Leave(string)                    {}
func (t *tracer) DeliverMessage(*pubsub.Message)  {}
func (t *tracer) ValidateMessage(*pubsub.Message) {}
func (t *tracer) ThrottlePeer(peer.ID)            {}
func (t *tracer) RecvRPC(*pubsub.RPC)             {}
