// Package node makes the libp2p host and the GossipSub router that both
// programs use.
package node

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
)

// QueueSize replaces the library's queue lengths of 32, beyond which it drops
// without telling the other side. A test must see the peer's losses, not these.
const QueueSize = 1 << 16

// NewHost listens on TCP only; security and muxer are the library's defaults.
func NewHost(listen string) (host.Host, error) {
	return libp2p.New(
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.ListenAddrStrings(listen),
		libp2p.DisableRelay(),
	)
}

// Addrs gives the listening addresses with the peer id appended.
func Addrs(h host.Host) ([]string, error) {
	all, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()})
	out := make([]string, 0, len(all))
	for _, a := range all {
		out = append(out, a.String())
	}
	return out, err
}

// Connect dials one /p2p address.
func Connect(ctx context.Context, h host.Host, addr string) error {
	a, err := multiaddr.NewMultiaddr(addr)
	if err != nil {
		return err
	}
	info, err := peer.AddrInfoFromP2pAddr(a)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	return h.Connect(ctx, *info)
}

// Signing turns the word after --sign into router options and a message id.
func Signing(sign string) ([]pubsub.Option, pubsub.MsgIdFunction, error) {
	switch sign {
	case "strict":
		return []pubsub.Option{
			pubsub.WithMessageSignaturePolicy(pubsub.StrictSign),
		}, pubsub.DefaultMsgIdFn, nil
	case "none":
		// The policy alone still sends author and seqno, which a strict peer
		// refuses; and without those the default id is the same for every message.
		return []pubsub.Option{
			pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign),
			pubsub.WithNoAuthor(),
		}, sha256ID, nil
	}
	return nil, nil, fmt.Errorf("--sign must be strict or none, not %q", sign)
}

func sha256ID(m *pb.Message) string {
	sum := sha256.Sum256(m.GetData())
	return string(sum[:])
}

// Router starts GossipSub with queues too long to overflow in a test.
func Router(ctx context.Context, h host.Host, opts ...pubsub.Option) (*pubsub.PubSub, error) {
	opts = append([]pubsub.Option{
		pubsub.WithValidateQueueSize(QueueSize),
		pubsub.WithPeerOutboundQueueSize(QueueSize),
	}, opts...)
	return pubsub.NewGossipSub(ctx, h, opts...)
}
