package awsclient

import "context"

type messageTrace struct{}

// WithMessageTrace returns a context for what is done for a message, with the tracing header of the
// invocation that has sent it. A function that gets messages is invoked in a trace of its own, which
// X-Ray links to those of its messages.
func WithMessageTrace(ctx context.Context, header string) context.Context {
	return context.WithValue(ctx, messageTrace{}, header)
}

// MessageTrace returns the tracing header of a message, "" if there is none.
func MessageTrace(ctx context.Context) (header string) {
	header, _ = ctx.Value(messageTrace{}).(string)
	return header
}
