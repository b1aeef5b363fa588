package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/libp2p/go-libp2p/core/peer"
)

type command struct {
	Do   string `json:"do"`
	Addr string `json:"addr"`
	burst
}

// commands returns on quit, at the end of input or when the time is up.
func (r *runner) commands(in io.Reader, stop context.CancelFunc) {
	go func() {
		defer stop()
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			if len(lines.Bytes()) == 0 {
				continue
			}
			var c command
			if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
				r.out.error(err)
				continue
			}
			if c.Do == "quit" {
				return
			}
			if err := r.do(c); err != nil {
				r.out.error(err)
			}
		}
		if err := lines.Err(); err != nil {
			r.out.error(err)
		}
	}()
	<-r.ctx.Done()
}

func (r *runner) do(c command) error {
	switch c.Do {
	case "publish":
		r.bursts <- c.burst
	case "publish_data":
		c.burst.raw = true
		r.bursts <- c.burst
	case "connect":
		go r.connect(c.Addr)
	case "subscribe":
		return r.subscribe()
	case "unsubscribe":
		r.unsubscribe()
	case "peers":
		r.peers()
	default:
		return fmt.Errorf("unknown command %q", c.Do)
	}
	return nil
}

func (r *runner) peers() {
	r.tracer.mu.Lock()
	mesh := []string{}
	for p := range r.tracer.mesh {
		mesh = append(mesh, p.String())
	}
	duplicates, scores := r.tracer.duplicates, r.tracer.scores
	r.tracer.mu.Unlock()
	e := event{
		"connected": names(r.host.Network().Peers()), "topic_peers": names(r.topic.ListPeers()),
		"mesh": mesh, "duplicates": duplicates,
	}
	if scores != nil {
		e["scores"] = scores
	}
	r.out.emit("peers", e)
}

func names(ids []peer.ID) []string {
	out := []string{}
	for _, id := range ids {
		out = append(out, id.String())
	}
	return out
}
