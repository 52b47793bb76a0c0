package echo

import (
	"context"
	"net/http"
	"strings"

	"github.com/coder/websocket"
)

// maxWebSocketMessage is the longest message that is echoed, in bytes.
const maxWebSocketMessage = 16 << 20

// serveWebSocket sends every message back, text as text and binary as binary,
// until the client closes or the server shuts down.
func (h *httpService) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		// An echo holds nothing that a foreign page's script could steal.
		InsecureSkipVerify: true,
		Subprotocols:       offeredSubprotocols(r),
	})
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = conn.CloseNow() }() // after a proper close it does nothing
	conn.SetReadLimit(maxWebSocketMessage)

	// Close waits for the peer to close its side, so it is not for the caller.
	goAway := func() { _ = conn.Close(websocket.StatusGoingAway, "shutting down") }
	cut := &abruptly{conn}
	if !h.webSockets.add(cut, func() { go goAway() }) {
		goAway() // it came in between the two
		return
	}
	defer h.webSockets.remove(cut)
	for {
		// Whole messages, not streams: a stream comes out as several frames, and
		// the conformance suite's client takes each frame for a message.
		kind, message, err := conn.Read(context.Background())
		if err != nil {
			return
		}
		if err := conn.Write(context.Background(), kind, message); err != nil {
			return
		}
	}
}

// abruptly closes a WebSocket without the closing handshake.
type abruptly struct{ conn *websocket.Conn }

// Close implements [io.Closer].
func (a *abruptly) Close() error { return a.conn.CloseNow() }

// offeredSubprotocols are the client's: the echo speaks whichever it likes best.
func offeredSubprotocols(r *http.Request) []string {
	var offered []string
	for _, list := range r.Header.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.TrimSpace(name); name != "" {
				offered = append(offered, name)
			}
		}
	}
	return offered
}
