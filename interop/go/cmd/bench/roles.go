package main

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"

	"interop/internal/node"
)

const (
	dataTopic = "bench"
	ackTopic  = "ack"
)

// open joins both topics. The topic a side only writes is relayed: it gets a
// mesh in it but no copies of its own messages to read and throw away.
func (b *bench) open(write, read string) (*pubsub.Topic, *pubsub.Subscription, error) {
	w, err := b.ps.Join(write)
	if err != nil {
		return nil, nil, err
	}
	if _, err := w.Relay(); err != nil {
		return nil, nil, err
	}
	r, err := b.ps.Join(read)
	if err != nil {
		return nil, nil, err
	}
	s, err := r.Subscribe(pubsub.WithBufferSize(node.QueueSize))
	if err != nil {
		return nil, nil, err
	}
	return w, s, b.dial()
}

func (b *bench) send() (*result, error) {
	data, acks, err := b.open(dataTopic, ackTopic)
	if err != nil {
		return nil, err
	}
	<-meshed.topics[dataTopic]
	// A receiver that publishes its acks without subscribing grafts nobody.
	select {
	case <-meshed.topics[ackTopic]:
	case <-time.After(2 * time.Second):
	}

	acked := 0
	next := func() error {
		ctx, cancel := context.WithTimeout(b.ctx, patience)
		defer cancel()
		m, err := acks.Next(ctx)
		if err == nil && len(m.Data) == 8 {
			acked = max(acked, int(binary.BigEndian.Uint64(m.Data)))
		}
		return err
	}
	publish := func(from, to int) error {
		for n := from; n < to; n++ {
			for n-acked >= b.window {
				if err := next(); err != nil {
					return err
				}
			}
			if err := data.Publish(b.ctx, b.message(n)); err != nil {
				return err
			}
		}
		for acked < to {
			if err := next(); err != nil {
				return err
			}
		}
		return nil
	}

	if err := publish(0, b.warmup); err != nil {
		return nil, err
	}
	watch := start()
	total := b.warmup + b.count
	if err := publish(b.warmup, total); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	return watch.result(b, total-acked), nil
}

// message starts with its number, so that no two are the same.
func (b *bench) message(n int) []byte {
	data := make([]byte, b.size)
	binary.BigEndian.PutUint64(data, uint64(n))
	return data
}

func (b *bench) receive() (*result, error) {
	ack, messages, err := b.open(ackTopic, dataTopic)
	if err != nil {
		return nil, err
	}
	total := b.warmup + b.count
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	var watch stopwatch
	var silence *time.Timer
	got := 0
	for got < total {
		if _, err := messages.Next(ctx); err != nil {
			break
		}
		if got == b.warmup {
			watch = start()
		}
		got++
		if silence == nil {
			silence = time.AfterFunc(patience, cancel)
		}
		if got%ackEvery == 0 || got == b.warmup || got == total {
			silence.Reset(patience)
			if err := ack.Publish(b.ctx, binary.BigEndian.AppendUint64(nil, uint64(got))); err != nil {
				return nil, err
			}
		}
	}
	res := watch.result(b, total-got)
	// The last ack is still in a queue; leave it time to go.
	time.Sleep(500 * time.Millisecond)
	return res, nil
}
