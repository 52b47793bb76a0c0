package echo

import (
	"errors"
	"net"
	"net/http"
	"strconv"
	"sync"
)

// maxRetries is how many requests' attempts are remembered: more than any test
// has under way, and little memory.
const maxRetries = 10_000

// retries counts the attempts of requests to /retry/…, which fail until enough
// were made, so that a gateway's retries can be tested. Query parameters:
//
//	uuid           tells one request, with its retries, from another
//	succeedAfter   how many attempts fail
//	responseCode   the status of a failure; if absent, the connection is reset
//	delayRetry     holds back each failure
//	delay          holds back the success
type retries struct {
	mu       sync.Mutex
	attempts map[string]int
	// order has the keys of attempts, oldest first; the oldest is forgotten.
	order []string
}

func newRetries() *retries { return &retries{attempts: map[string]int{}} }

// fail counts an attempt and tells whether it is to fail.
func (r *retries) fail(uuid string, succeedAfter int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, seen := r.attempts[uuid]
	if n >= succeedAfter {
		return false
	}
	if !seen {
		if len(r.order) == maxRetries {
			delete(r.attempts, r.order[0])
			r.order = r.order[1:]
		}
		r.order = append(r.order, uuid)
	}
	r.attempts[uuid] = n + 1
	return true
}

func (h *httpService) serveRetry(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	uuid := query.Get("uuid")
	if uuid == "" {
		serveError(w, http.StatusBadRequest, errors.New("query parameter uuid is required"))
		return
	}
	succeedAfter, err := strconv.Atoi(query.Get("succeedAfter"))
	if err != nil {
		serveError(w, http.StatusBadRequest, errors.New("query parameter succeedAfter must be a number"))
		return
	}
	status := 0
	if code := query.Get("responseCode"); code != "" {
		if status, err = strconv.Atoi(code); err != nil || status < 200 || status > 999 {
			serveError(w, http.StatusBadRequest, errors.New("query parameter responseCode must be a final HTTP status"))
			return
		}
	}
	if !h.retries.fail(uuid, succeedAfter) {
		h.serveEcho(w, r)
		return
	}
	if !h.delay(w, r, "delayRetry") {
		return
	}
	if status != 0 {
		w.WriteHeader(status)
		return
	}
	resetConnection(w)
}

// resetConnection ends a request the way a crashed backend does: with a TCP
// reset, or over HTTP/2, where a connection carries other requests too, with a
// reset of the stream.
func resetConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http's own way to say so; it recovers it
	}
	tcp, ok := conn.(*net.TCPConn)
	if ok {
		_ = tcp.SetLinger(0) // failing that, the connection is closed in the ordinary way
	}
	_ = conn.Close()
}
