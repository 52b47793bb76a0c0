package xds

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// DefaultMaxConnectionAgeGrace is how long calls may go on where [Limits] says nothing.
const DefaultMaxConnectionAgeGrace = 2 * time.Minute

// Limits are those of the connections of proxies; the zero value has the defaults.
type Limits struct {
	// MaxConnectionAge is how long a proxy stays on one connection. Then its stream
	// ends, and it connects anew: it meets another replica, if there are several, and
	// proves again who it is. By default one of 10, 11 or 12 hours, so that replicas
	// which started together do not lose all proxies at the same time.
	MaxConnectionAge time.Duration
	// MaxConnectionAgeGrace is how long after that, and after a fifth of the age, a
	// connection is cut that is still open; [DefaultMaxConnectionAgeGrace] if zero.
	MaxConnectionAgeGrace time.Duration
	// MaxReceive is the size, in bytes, of the largest request that is read; 32 MiB if
	// zero.
	MaxReceive int
}

// errOld ends the stream of a connection that has been open for long enough.
var errOld = errors.New("the connection is old: connect anew")

// ServerOptions makes Serve keep the limits.
//
// gRPC would announce that a connection is old and cut it some time later. To a stream
// of configuration, which never ends by itself, that is a second in which neither side
// hears the other. So the stream is ended here; by then gRPC has made its announcement,
// at some moment within a tenth of its age, and the next stream is on a new connection.
func (l Limits) ServerOptions() []grpc.ServerOption {
	age := l.MaxConnectionAge
	if age <= 0 {
		age = time.Duration(10+rand.IntN(3)) * time.Hour
	}
	if l.MaxConnectionAgeGrace <= 0 {
		l.MaxConnectionAgeGrace = DefaultMaxConnectionAgeGrace
	}
	if l.MaxReceive <= 0 {
		l.MaxReceive = maxReceive
	}
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(l.MaxReceive),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: pingAfter, Timeout: pingTimeout,
			MaxConnectionAge: age * 10 / 11, MaxConnectionAgeGrace: age/5 + l.MaxConnectionAgeGrace,
		}),
		grpc.ChainStreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			ctx, cancel := context.WithTimeoutCause(stream.Context(), age, errOld)
			defer cancel()
			return handle(srv, &aging{stream, ctx})
		}),
	}
}

// aging is a stream that ends with ctx.
type aging struct {
	grpc.ServerStream
	ctx context.Context
}

func (a *aging) Context() context.Context { return a.ctx }
