// Command peer is a GossipSub peer that is driven by lines of JSON.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"interop/internal/node"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.topic == "" {
		return fmt.Errorf("--topic is needed")
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if o.seconds > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(o.seconds*float64(time.Second)))
		defer cancel()
	}

	h, err := node.NewHost(o.listen)
	if err != nil {
		return err
	}
	defer h.Close()

	out := newOutput()
	tr := newTracer(out, h.ID(), o.topic)
	opts, id, err := node.Signing(o.sign)
	if err != nil {
		return err
	}
	opts = append(opts,
		pubsub.WithMessageIdFn(tr.watchID(id)),
		pubsub.WithRawTracer(tr),
		pubsub.WithAppSpecificRpcInspector(tr.inspect),
		pubsub.WithGossipSubParams(o.params()),
		pubsub.WithFloodPublish(o.floodPublish == "on"),
	)
	if o.testExtension == "on" {
		opts = append(opts, pubsub.WithTestExtension(pubsub.TestExtensionConfig{
			OnReceiveTestExtension: func(from peer.ID) {
				out.emit("test_extension", event{"peer": from.String()})
			},
		}))
	}
	if o.score == "on" {
		opts = append(opts, scoring(tr.setScores)...)
	}
	ps, err := node.Router(ctx, h, opts...)
	if err != nil {
		return err
	}
	topic, err := ps.Join(o.topic)
	if err != nil {
		return err
	}

	p := &runner{ctx: ctx, out: out, host: h, topic: topic, tracer: tr, bursts: make(chan burst, 1024)}
	if err := p.watchConnections(); err != nil {
		return err
	}
	if err := p.watchTopic(); err != nil {
		return err
	}
	// Subscribed before listening is announced, so that the first RPC to
	// whoever dials already names the topic.
	if o.subscribe == "on" {
		if err := p.subscribe(); err != nil {
			return err
		}
	}
	addrs, err := node.Addrs(h)
	if err != nil {
		return err
	}
	out.emit("listening", event{"peer": h.ID().String(), "addrs": addrs})

	go p.publishLoop()
	for _, addr := range o.connect {
		go p.connect(addr)
	}
	if o.burst.Count > 0 {
		go p.publishWhenMet(o.burst)
	}
	p.commands(os.Stdin, cancel)
	return nil
}
