package function

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"orders/shared/awsclient"
)

// A lineHandler gives a line one id of its request: that of the client's request, which the response
// and the access log have, too, or else Lambda's id of the invocation. If X-Ray records the
// invocation, the line has the id of the trace, too; and a line about a message that of its sender's.
type lineHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h lineHandler) Handle(ctx context.Context, r slog.Record) error {
	header, _ := ctx.Value("x-amzn-trace-id").(string) // where lambda.Start puts it
	r = r.Clone()
	addTrace(&r, "trace_id", header)
	addTrace(&r, "message_trace_id", awsclient.MessageTrace(ctx))
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "request_id" {
			ctx = context.Background() // Lambda's handler takes its id from the context
		}
		return true
	})
	return h.Handler.Handle(ctx, r)
}

func addTrace(r *slog.Record, name, header string) {
	if id := sampledTrace(header); id != "" {
		r.AddAttrs(slog.String(name, id))
	}
}

// WithAttrs implements slog.Handler.
func (h lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return lineHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h lineHandler) WithGroup(name string) slog.Handler {
	return lineHandler{h.Handler.WithGroup(name)}
}

// sampledTrace is the id of the trace that a tracing header names, "" if X-Ray does not record it.
// See https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader.
func sampledTrace(header string) (id string) {
	sampled := false
	for field := range strings.SplitSeq(header, ";") {
		switch name, value, _ := strings.Cut(strings.TrimSpace(field), "="); name {
		case "Root":
			id = value
		case "Sampled":
			sampled = value == "1"
		}
	}
	if !sampled {
		return ""
	}
	return id
}

// A sampler logs what Lambda's REPORT lines would say, for a few invocations of each process: the
// first, the second, the fourth, the eighth, and so on. So the first line is a cold start, and the
// last one has the most memory that the process has used.
type sampler struct {
	lambda.Handler
	log         *slog.Logger
	initTime    time.Duration
	invocations int // which come one after the other
}

// Invoke implements lambda.Handler.
func (s *sampler) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	began := time.Now()
	response, err := s.Handler.Invoke(ctx, event)
	s.invocations++
	if s.invocations&(s.invocations-1) == 0 {
		s.log.InfoContext(ctx, "invocation", "invocations", s.invocations,
			"duration_ms", time.Since(began).Milliseconds(), "init_ms", s.initTime.Milliseconds(), "memory_mb", peakMemory())
	}
	return response, err
}

// peakMemory is the most memory that the process has used, in MB; 0 where there is no Linux.
func peakMemory() (megabytes int) {
	status, _ := os.ReadFile("/proc/self/status")
	if _, peak, ok := strings.Cut(string(status), "VmHWM:"); ok {
		_, _ = fmt.Sscan(peak, &megabytes) // in KB
	}
	return megabytes >> 10
}
