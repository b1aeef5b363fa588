package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	eventpkg "github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"interop/internal/node"
	"interop/internal/payload"
)

// burst is one order to publish; with Data set it is that one message.
type burst struct {
	Count      int    `json:"count"`
	Min        int    `json:"min"`
	Max        int    `json:"max"`
	IntervalMs int    `json:"interval_ms"`
	Seed       uint64 `json:"seed"`
	Data       []byte `json:"data"`
	raw        bool
}

type runner struct {
	ctx     context.Context
	out     *output
	host    host.Host
	topic   *pubsub.Topic
	tracer  *tracer
	bursts  chan burst
	counter uint32

	mu  sync.Mutex
	sub *pubsub.Subscription
}

func (r *runner) watchConnections() error {
	sub, err := r.host.EventBus().Subscribe(new(eventpkg.EvtPeerConnectednessChanged))
	if err != nil {
		return err
	}
	go func() {
		for e := range sub.Out() {
			c := e.(eventpkg.EvtPeerConnectednessChanged)
			switch c.Connectedness {
			case network.Connected:
				r.out.emit("connected", event{"peer": c.Peer.String()})
			case network.NotConnected:
				r.out.emit("disconnected", event{"peer": c.Peer.String()})
			}
		}
	}()
	return nil
}

func (r *runner) watchTopic() error {
	h, err := r.topic.EventHandler()
	if err != nil {
		return err
	}
	go func() {
		for {
			e, err := h.NextPeerEvent(r.ctx)
			if err != nil {
				return
			}
			name := "peer_joined"
			if e.Type == pubsub.PeerLeave {
				name = "peer_left"
			}
			r.out.emit(name, event{"topic": r.topic.String(), "peer": e.Peer.String()})
		}
	}()
	return nil
}

func (r *runner) subscribe() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sub != nil {
		return nil
	}
	sub, err := r.topic.Subscribe(pubsub.WithBufferSize(node.QueueSize))
	if err != nil {
		return err
	}
	r.sub = sub
	go r.read(sub)
	return nil
}

func (r *runner) unsubscribe() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sub != nil {
		r.sub.Cancel()
		r.sub = nil
	}
}

func (r *runner) read(sub *pubsub.Subscription) {
	for {
		m, err := sub.Next(r.ctx)
		if err != nil {
			return
		}
		if m.ReceivedFrom == r.host.ID() {
			continue
		}
		sum := sha256.Sum256(m.Data)
		e := event{
			"topic": m.GetTopic(), "id": hex.EncodeToString([]byte(m.ID)),
			"author": nil, "seqno": nil, "received_from": m.ReceivedFrom.String(),
			"size": len(m.Data), "sha256": hex.EncodeToString(sum[:]),
		}
		if id, err := peer.IDFromBytes(m.From); err == nil {
			e["author"] = id.String()
		}
		if len(m.Seqno) == 8 {
			e["seqno"] = strconv.FormatUint(binary.BigEndian.Uint64(m.Seqno), 10)
		}
		r.out.emit("message", e)
	}
}

func (r *runner) connect(addr string) {
	if err := node.Connect(r.ctx, r.host, addr); err != nil {
		r.out.error(err)
	}
}

// publishWhenMet waits until there is somebody to publish to: without a mesh
// or topic peers the router drops a message without a word.
func (r *runner) publishWhenMet(b burst) {
	r.mu.Lock()
	subscribed := r.sub != nil
	r.mu.Unlock()
	if subscribed {
		select {
		case <-r.tracer.grafted:
		case <-r.ctx.Done():
			return
		}
	} else {
		for len(r.topic.ListPeers()) == 0 {
			select {
			case <-time.After(20 * time.Millisecond):
			case <-r.ctx.Done():
				return
			}
		}
	}
	r.bursts <- b
}

// publishLoop is the only publisher, so that the id caught belongs to the
// message published last.
func (r *runner) publishLoop() {
	for {
		select {
		case <-r.ctx.Done():
			return
		case b := <-r.bursts:
			if b.raw {
				r.publish(b.Data)
				continue
			}
			for i := 0; i < b.Count; i++ {
				if i > 0 && b.IntervalMs > 0 {
					time.Sleep(time.Duration(b.IntervalMs) * time.Millisecond)
				}
				r.publish(payload.Make(uint32(b.Seed), r.counter, b.Min, b.Max))
				r.counter++
			}
			r.out.emit("done_publishing", nil)
		}
	}
}

func (r *runner) publish(data []byte) {
	r.tracer.beginPublish(data)
	if err := r.topic.Publish(r.ctx, data); err != nil {
		r.out.error(err)
		return
	}
	sum := sha256.Sum256(data)
	r.out.emit("published", event{"id": r.tracer.publishedID(), "sha256": hex.EncodeToString(sum[:]), "size": len(data)})
}
