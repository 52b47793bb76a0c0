package echo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// httpService serves HTTP, H2C or HTTPS.
type httpService struct {
	server   *Server
	protocol Protocol
	listener net.Listener
	http     *http.Server
	retries  *retries

	// A WebSocket has left net/http: http.Server.Shutdown neither closes nor
	// awaits it.
	webSockets tracker
}

var _ service = (*httpService)(nil)

func newHTTPService(s *Server, p Protocol, l net.Listener, r *retries) *httpService {
	h := &httpService{server: s, protocol: p, listener: l, retries: r}
	h.http = &http.Server{
		Handler: h,
		// Against clients that never finish their headers. There is no
		// IdleTimeout: a backend that closes idle connections races with the
		// gateway's next request on them, and tests would see that as a 503.
		ReadHeaderTimeout: 10 * time.Second,
		Protocols:         new(http.Protocols),
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	switch p {
	case HTTPS:
		h.http.Protocols.SetHTTP1(true)
		h.http.Protocols.SetHTTP2(true)
		h.http.TLSConfig = s.tlsConfig("h2", "http/1.1")
	default:
		// H2C takes HTTP/1.1 too, in order to refuse it legibly.
		h.http.Protocols.SetHTTP1(true)
		h.http.Protocols.SetUnencryptedHTTP2(true)
	}
	return h
}

func (h *httpService) serve() error {
	if h.protocol == HTTPS {
		return h.http.ServeTLS(h.listener, "", "")
	}
	return h.http.Serve(h.listener)
}

func (h *httpService) shutdown(ctx context.Context) error {
	var wg sync.WaitGroup
	var webSocketErr error
	wg.Go(func() { webSocketErr = h.webSockets.drain(ctx) })
	err := h.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, h.http.Close())
	}
	wg.Wait()
	return errors.Join(err, webSocketErr)
}

func (h *httpService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.server.log.DebugContext(r.Context(), "request", "protocol", string(h.protocol), "method", r.Method,
		"host", r.Host, "path", r.RequestURI, "client", r.RemoteAddr)
	if h.protocol == H2C && r.ProtoMajor != 2 {
		http.Error(w, "Expected h2c request", http.StatusBadRequest)
		return
	}
	// No http.ServeMux: it answers unclean paths with a redirect, and what a
	// gateway made of a path is what tests want to see.
	switch path := strings.ReplaceAll(r.URL.Path, "//", "/"); {
	case path == "/health":
		fmt.Fprint(w, "OK")
	case path == "/ws":
		h.serveWebSocket(w, r)
	case strings.HasPrefix(path, "/status/"):
		h.serveStatus(w, r, strings.TrimPrefix(path, "/status/"))
	case strings.HasPrefix(path, "/retry/"):
		h.serveRetry(w, r)
	default:
		h.serveEcho(w, r)
	}
}

func (h *httpService) serveEcho(w http.ResponseWriter, r *http.Request) {
	if !h.delay(w, r, "delay") {
		return
	}
	body, err := json.MarshalIndent(Response{
		Path:     r.RequestURI,
		Host:     r.Host,
		Method:   r.Method,
		Proto:    r.Proto,
		Headers:  r.Header,
		HTTPPort: cmp.Or(h.server.port(HTTP), h.server.port(h.protocol)),
		Identity: h.server.opts.Identity,
		TLS:      tlsState(r.TLS),
	}, "", " ")
	if err != nil {
		serveError(w, http.StatusInternalServerError, err)
		return
	}
	setResponseHeaders(w.Header(), r.Header)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	// A failed write means that the client is gone; there is nobody to tell.
	_, _ = w.Write(body)
}

func (h *httpService) serveStatus(w http.ResponseWriter, r *http.Request, status string) {
	if !h.delay(w, r, "delay") {
		return
	}
	code, err := strconv.Atoi(status)
	// 1xx are no answers, and above 999 is no status (RFC 9110, section 15).
	if err != nil || code < 200 || code > 999 {
		serveError(w, http.StatusBadRequest, fmt.Errorf("%q is not a final HTTP status", status))
		return
	}
	setResponseHeaders(w.Header(), r.Header)
	w.WriteHeader(code)
}

// delay waits as long as the query parameter says. It tells whether to go on:
// not if the parameter is wrong, which it has answered, nor if the client left.
func (h *httpService) delay(w http.ResponseWriter, r *http.Request, parameter string) bool {
	value := r.URL.Query().Get(parameter)
	if value == "" {
		return true
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		serveError(w, http.StatusInternalServerError, fmt.Errorf("query parameter %s: %w", parameter, err))
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// setResponseHeaders adds to response what the request's X-Echo-Set-Header asks
// for. Names keep the case they were given in, and a name that comes again has
// its values joined by commas.
func setResponseHeaders(response, request http.Header) {
	for _, list := range request["X-Echo-Set-Header"] {
		for pair := range strings.SplitSeq(list, ",") {
			name, value, _ := strings.Cut(pair, ":")
			name, value = strings.TrimSpace(name), strings.TrimSpace(value)
			if name == "" {
				continue
			}
			if have := response[name]; len(have) > 0 {
				have[0] += "," + value
			} else {
				response[name] = []string{value}
			}
		}
	}
}

func serveError(w http.ResponseWriter, status int, err error) {
	body, marshalErr := json.Marshal(map[string]string{"message": err.Error()})
	if marshalErr != nil {
		http.Error(w, err.Error(), status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
