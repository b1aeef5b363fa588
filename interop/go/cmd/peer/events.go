package main

import (
	"bufio"
	"encoding/json"
	"os"
	"sync"
)

type event map[string]any

type output struct {
	mu  sync.Mutex
	buf *bufio.Writer
	enc *json.Encoder
}

func newOutput() *output {
	buf := bufio.NewWriter(os.Stdout)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	return &output{buf: buf, enc: enc}
}

// emit writes one line at once: whoever reads waits for it.
func (o *output) emit(name string, e event) {
	if e == nil {
		e = event{}
	}
	e["event"] = name
	o.mu.Lock()
	defer o.mu.Unlock()
	_ = o.enc.Encode(e)
	_ = o.buf.Flush()
}

func (o *output) error(err error) {
	o.emit("error", event{"message": err.Error()})
}
