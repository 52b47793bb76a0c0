package quickstart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"time"

	discovery "k8s.io/api/discovery/v1"

	"github.com/egctl/egctl/pkg/echo"
	"github.com/egctl/egctl/pkg/local"
	"github.com/egctl/egctl/pkg/manifest"
	"github.com/egctl/egctl/pkg/store"
)

// LocalOptions configure a quickstart on this machine.
type LocalOptions struct {
	// Envoy is the path of the binary.
	Envoy string
	// Once ends after the first answer.
	Once bool
	// Out takes the answer, Err the narration.
	Out, Err io.Writer
	Color    bool
	Logger   *slog.Logger
}

// Local starts a demo backend and a gateway in front of it, sends a request
// through, shows it, and serves until ctx ends or, with Once, until the answer.
func Local(ctx context.Context, o LocalOptions) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	backend, err := echo.Start(ctx, echo.Options{
		Addresses: map[echo.Protocol]string{echo.HTTP: "127.0.0.1:0"},
		Identity:  echo.Identity{Namespace: "default", Service: "backend", Pod: "backend-on-this-machine"},
		Logger:    o.Logger,
	})
	if err != nil {
		return fmt.Errorf("demo backend: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = backend.Shutdown(ctx) // it is ours alone; nobody waits for it any more
	}()
	at := backend.Addr(echo.HTTP).(*net.TCPAddr)
	fmt.Fprintf(o.Err, "Demo backend (egctl echo) listens on %s\n", at)

	shift, err := freeShift(80)
	if err != nil {
		return err
	}
	port := 80 + int(shift)
	if o.Once {
		late := time.AfterFunc(onceWithin, func() { cancel(fmt.Errorf("no answer within %s: Envoy does not serve; -v says more", onceWithin)) })
		defer late.Stop()
	}
	err = local.Run(ctx, local.Options{
		Objects: objects(at), Envoy: o.Envoy, PortShift: shift, DrainTime: time.Second, Concurrency: 1,
		Out: io.Discard, Err: o.Err, Color: o.Color, Logger: o.Logger,
		Ready: func(store.Key) {
			if err := ask(ctx, question{"127.0.0.1", port}, o.Out, o.Err); err != nil {
				cancel(err)
				return
			}
			if o.Once {
				cancel(errDone)
				return
			}
			fmt.Fprintln(o.Err, "\nThe gateway keeps serving; Ctrl-C ends it. Next: put your own manifests in a folder and try `egctl run -f FOLDER`.")
		},
	})
	cause := context.Cause(ctx)
	switch {
	case errors.Is(err, errDone), err == nil && errors.Is(cause, errDone):
		return nil
	case err != nil:
		return err
	case errors.Is(cause, context.Canceled) && o.Once:
		return errInterrupted // who asked for one answer has not got it
	case errors.Is(cause, context.Canceled):
		return nil
	default:
		return cause
	}
}

var errInterrupted = errors.New("interrupted before there was an answer")

// onceWithin is how long a quickstart that ends by itself waits for its answer.
// Envoy needs a second or two.
const onceWithin = time.Minute

// errDone ends a quickstart that has shown what it should.
var errDone = errors.New("done")

// objects are those of the manifest that mean something without a cluster, with
// the demo backend as the endpoint of its Service.
func objects(at *net.TCPAddr) []store.Object {
	var list []store.Object
	for _, d := range manifest.Parse("quickstart.yaml", text, "default") {
		if d.Object != nil {
			list = append(list, d.Object)
		}
	}
	name, port := "http", int32(at.Port)
	slice := &discovery.EndpointSlice{AddressType: discovery.AddressTypeIPv4}
	slice.Namespace, slice.Name = "default", "backend-local"
	slice.Labels = map[string]string{discovery.LabelServiceName: "backend"}
	slice.Ports = []discovery.EndpointPort{{Name: &name, Port: &port}}
	slice.Endpoints = []discovery.Endpoint{{Addresses: []string{at.IP.String()}}}
	return append(list, slice)
}

// freeShift finds a shift of privileged ports under which a port is free.
func freeShift(port int) (int32, error) {
	var last error
	for _, shift := range []int32{10000, 20000, 30000, 40000} {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+int(shift))))
		if err != nil {
			last = err
			continue
		}
		return shift, l.Close()
	}
	return 0, fmt.Errorf("no free port for the gateway: %w", last)
}
