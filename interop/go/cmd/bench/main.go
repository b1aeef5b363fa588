// Command bench measures how fast one GossipSub peer takes messages from
// another.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"syscall"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"

	"interop/internal/node"
)

// patience is how long either side waits without progress before it counts
// the missing messages as lost.
const patience = 15 * time.Second

// ackEvery is how many messages the receiver answers with one ack.
const ackEvery = 128

type bench struct {
	role, connect, listen, sign string
	size, count, warmup, window int

	ctx  context.Context
	host host.Host
	ps   *pubsub.PubSub
}

type result struct {
	Role       string  `json:"role"`
	Sign       string  `json:"sign"`
	Size       int     `json:"size"`
	Count      int     `json:"count"`
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"msgs_per_s"`
	CPUSeconds float64 `json:"cpu_seconds"`
	CPUMicros  float64 `json:"cpu_us_per_msg"`
	Lost       int     `json:"lost"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	b := &bench{ctx: context.Background()}
	flag.StringVar(&b.role, "role", "", "send or receive")
	flag.StringVar(&b.connect, "connect", "", "address to dial, with /p2p/ID")
	flag.StringVar(&b.listen, "listen", "/ip4/127.0.0.1/tcp/0", "listening address")
	flag.StringVar(&b.sign, "sign", "strict", "strict or none")
	flag.IntVar(&b.size, "size", 1024, "bytes of data in a message")
	flag.IntVar(&b.count, "count", 100000, "messages in the timed part")
	flag.IntVar(&b.warmup, "warmup", 1024, "messages before the timed part; the same on both sides")
	flag.IntVar(&b.window, "window", 1024, "messages that may be without an ack")
	flag.Parse()
	if b.size < 8 || b.window < ackEvery || (b.role != "send" && b.role != "receive") {
		return fmt.Errorf("needs --role send|receive, --size of 8 or more, --window of %d or more", ackEvery)
	}

	h, err := node.NewHost(b.listen)
	if err != nil {
		return err
	}
	defer h.Close()
	b.host = h
	opts, id, err := node.Signing(b.sign)
	if err != nil {
		return err
	}
	opts = append(opts, pubsub.WithMessageIdFn(id), pubsub.WithRawTracer(meshed))
	if b.ps, err = node.Router(b.ctx, h, opts...); err != nil {
		return err
	}
	addrs, err := node.Addrs(h)
	if err != nil {
		return err
	}
	if err := print(map[string]any{"event": "listening", "peer": h.ID().String(), "addrs": addrs}); err != nil {
		return err
	}
	work := b.send
	if b.role == "receive" {
		work = b.receive
	}
	res, err := work()
	if err != nil {
		return err
	}
	return print(res)
}

func (b *bench) dial() error {
	if b.connect == "" {
		return nil
	}
	return node.Connect(b.ctx, b.host, b.connect)
}

func print(v any) error { return json.NewEncoder(os.Stdout).Encode(v) }

// stopwatch takes wall and CPU time of this process.
type stopwatch struct {
	wall time.Time
	cpu  time.Duration
}

func start() stopwatch { return stopwatch{time.Now(), cpuTime()} }

func (s stopwatch) result(b *bench, lost int) *result {
	seconds := time.Since(s.wall).Seconds()
	cpu := (cpuTime() - s.cpu).Seconds()
	return &result{
		Role: b.role, Sign: b.sign, Size: b.size, Count: b.count,
		Seconds: seconds, PerSecond: float64(b.count-lost) / seconds,
		CPUSeconds: cpu, CPUMicros: cpu * 1e6 / float64(b.count), Lost: lost,
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
