package portforward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream" //nolint:staticcheck // the client library still speaks in its types
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	streaming "k8s.io/streaming/pkg/httpstream"
)

// link is a connection to a pod by way of the API server. It carries any number
// of streams.
type link struct {
	pod  *core.Pod
	conn httpstream.Connection
	// spdy says that the API server does not speak WebSocket for this.
	spdy bool
	// broken is closed when a stream has failed in a way that the next would, too.
	broken    chan struct{}
	breakOnce sync.Once

	mu      sync.Mutex
	request int
	users   int
	retired bool
}

// dial connects to a pod: over WebSocket, which passes proxies, or over SPDY
// where the API server is too old for that.
func dial(ctx context.Context, config *rest.Config, pod *core.Pod) (*link, error) {
	fail := func(err error) (*link, error) {
		return nil, fmt.Errorf("connect to pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	c := rest.CopyConfig(config)
	c.GroupVersion, c.APIPath = &core.SchemeGroupVersion, "/api"
	c.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	client, err := rest.RESTClientFor(c)
	if err != nil {
		return fail(err)
	}
	url := client.Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(c)
	if err != nil {
		return fail(err)
	}
	over := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	socket, err := portforward.NewSPDYOverWebsocketDialer(url, c)
	if err != nil {
		return fail(err)
	}
	l := &link{pod: pod, broken: make(chan struct{})}
	dialer := portforward.NewFallbackDialer(socket, over, func(err error) bool {
		l.spdy = streaming.IsUpgradeFailure(err) || streaming.IsHTTPSProxyError(err)
		return l.spdy
	})
	done := make(chan error, 1)
	go func() { // the dialers know no context
		conn, protocol, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
		if err == nil && protocol != portforward.PortForwardProtocolV1Name {
			err = fmt.Errorf("the API server speaks %q instead of %q", protocol, portforward.PortForwardProtocolV1Name)
		}
		l.conn = conn
		done <- err
		if ctx.Err() != nil && conn != nil {
			_ = conn.Close() // nobody waits for it any more
		}
	}()
	select {
	case err := <-done:
		if err != nil {
			return fail(err)
		}
		return l, nil
	case <-ctx.Done():
		return fail(context.Cause(ctx))
	}
}

// use keeps the link open for a connection; false: it is no longer to be used.
func (l *link) use() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.retired {
		return false
	}
	l.users++
	return true
}

func (l *link) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users--
	if l.retired && l.users == 0 {
		_ = l.conn.Close() // nothing is lost
	}
}

// retire takes no more connections, and ends after those that it has.
func (l *link) retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.retired && l.users == 0 {
		_ = l.conn.Close() // nothing is lost
	}
	l.retired = true
}

func (l *link) fail() { l.breakOnce.Do(func() { close(l.broken) }) }

// streams opens the two streams of a connection: what is carried, and what the
// kubelet has to say about it.
func (l *link) streams(port uint16) (data, errs httpstream.Stream, err error) {
	l.mu.Lock()
	l.request++
	request := l.request
	l.mu.Unlock()
	headers := http.Header{}
	headers.Set(core.StreamType, core.StreamTypeError)
	headers.Set(core.PortHeader, strconv.Itoa(int(port)))
	headers.Set(core.PortForwardRequestIDHeader, strconv.Itoa(request))
	errs, err = l.conn.CreateStream(headers)
	if err != nil {
		return nil, nil, err
	}
	if err := errs.Close(); err != nil { // nothing is written to it
		l.conn.RemoveStreams(errs)
		return nil, nil, err
	}
	headers.Set(core.StreamType, core.StreamTypeData)
	data, err = l.conn.CreateStream(headers)
	if err != nil {
		l.conn.RemoveStreams(errs)
		return nil, nil, err
	}
	return data, errs, nil
}

// errNoStream says that nothing was carried because the link is not alive.
var errNoStream = errors.New("the connection to the pod is lost")

// carry connects a local connection with a port of the pod until one of the two
// ends, or the context.
func (l *link) carry(ctx context.Context, local net.Conn, port uint16) error {
	data, errs, err := l.streams(port)
	if err != nil {
		l.fail()
		return fmt.Errorf("%w: %w", errNoStream, err)
	}
	defer l.conn.RemoveStreams(data, errs)
	said := make(chan string, 1)
	go func() {
		text, err := io.ReadAll(errs)
		if err != nil && len(text) == 0 {
			text = []byte(err.Error())
		}
		said <- strings.TrimSpace(string(text))
	}()
	down, up := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(down)
		_, _ = io.Copy(local, data) // which side failed does not matter: both end
	}()
	go func() {
		if _, err := io.Copy(data, local); err != nil {
			close(up) // the client went away in the middle: there is nobody to answer
		}
		_ = data.Close() // the pod sees the end of the request, and can still answer
	}()
	select {
	case <-down:
	case <-up:
	case <-ctx.Done():
	}
	// Without this, data that nobody reads would block the link for others.
	_ = data.Reset()
	select {
	case text := <-said:
		if text != "" && ctx.Err() == nil {
			l.fail()
			return fmt.Errorf("pod %s/%s, port %d: %s", l.pod.Namespace, l.pod.Name, port, text)
		}
	case <-l.conn.CloseChan():
	case <-ctx.Done():
	}
	return nil
}
