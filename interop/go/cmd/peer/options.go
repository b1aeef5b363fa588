package main

import (
	"flag"
	"strings"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
)

type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

type options struct {
	topic, listen, sign string
	floodPublish, score string
	testExtension       string
	subscribe           string
	connect             list
	burst               burst
	d, dlo, dhi         int
	seconds             float64
}

func parse(args []string) (*options, error) {
	o := &options{}
	var msgID string
	f := flag.NewFlagSet("peer", flag.ContinueOnError)
	f.StringVar(&o.topic, "topic", "", "the one topic")
	f.StringVar(&o.listen, "listen", "/ip4/127.0.0.1/tcp/0", "listening address")
	f.Var(&o.connect, "connect", "address to dial, with /p2p/ID; may be repeated")
	f.StringVar(&o.sign, "sign", "strict", "strict or none")
	f.StringVar(&msgID, "msg-id", "go", "accepted for the JS peer's sake; both words mean the same here")
	f.StringVar(&o.floodPublish, "floodpublish", "off", "on or off")
	f.StringVar(&o.score, "score", "off", "on or off")
	f.StringVar(&o.testExtension, "test-extension", "off", "on or off")
	f.StringVar(&o.subscribe, "subscribe", "on", "on or off: subscribe at the start")
	f.IntVar(&o.burst.Count, "publish", 0, "messages to publish once a peer is there")
	f.IntVar(&o.burst.Min, "min-size", 100, "smallest message")
	f.IntVar(&o.burst.Max, "max-size", 100, "largest message")
	f.IntVar(&o.burst.IntervalMs, "interval-ms", 0, "pause between messages")
	f.Uint64Var(&o.burst.Seed, "seed", 1, "seed of the message data")
	f.IntVar(&o.d, "d", 0, "D")
	f.IntVar(&o.dlo, "dlo", 0, "Dlo")
	f.IntVar(&o.dhi, "dhi", 0, "Dhi")
	f.Float64Var(&o.seconds, "seconds", 0, "stop after so many seconds")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	return o, nil
}

// params fits the secondary degrees to the three that were asked for, since
// the library refuses sets that contradict each other.
func (o *options) params() pubsub.GossipSubParams {
	p := pubsub.DefaultGossipSubParams()
	for _, v := range []struct {
		to   *int
		from int
	}{{&p.D, o.d}, {&p.Dlo, o.dlo}, {&p.Dhi, o.dhi}} {
		if v.from > 0 {
			*v.to = v.from
		}
	}
	p.Dlo = min(p.Dlo, p.D)
	p.Dhi = max(p.Dhi, p.D)
	p.Dscore = min(p.Dscore, p.D)
	p.Dout = max(0, min(p.Dout, p.Dlo-1, p.D/2-1))
	return p
}

// scoring counts only misbehaviour; addresses are left out because every peer
// of a test has the same one.
func scoring(inspect func(map[string]float64)) []pubsub.Option {
	return []pubsub.Option{
		pubsub.WithPeerScore(
			&pubsub.PeerScoreParams{
				AppSpecificScore:          noScore,
				BehaviourPenaltyWeight:    -10,
				BehaviourPenaltyThreshold: 0,
				BehaviourPenaltyDecay:     0.2,
				DecayInterval:             time.Second,
				DecayToZero:               0.01,
				RetainScore:               time.Minute,
			},
			&pubsub.PeerScoreThresholds{
				GossipThreshold:             -10,
				PublishThreshold:            -50,
				GraylistThreshold:           -80,
				AcceptPXThreshold:           10,
				OpportunisticGraftThreshold: 1,
			},
		),
		pubsub.WithPeerScoreInspect(byName(inspect), time.Second),
	}
}
