package main

import (
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
)

func noScore(peer.ID) float64 { return 0 }

func byName(inspect func(map[string]float64)) pubsub.PeerScoreInspectFn {
	return func(scores map[peer.ID]float64) {
		named := map[string]float64{}
		for p, s := range scores {
			named[p.String()] = s
		}
		inspect(named)
	}
}

func (t *tracer) setScores(scores map[string]float64) {
	t.mu.Lock()
	t.scores = scores
	t.mu.Unlock()
}
