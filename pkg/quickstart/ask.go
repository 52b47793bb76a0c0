package quickstart

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/egctl/egctl/pkg/echo"
)

// ErrWrongAnswer is what a quickstart fails with when a request went through but
// came back wrong.
var ErrWrongAnswer = errors.New("the answer is not the demo backend's")

// question is where the gateway is asked.
type question struct {
	host string
	port int
}

func (q question) url() string {
	return "http://" + net.JoinHostPort(q.host, strconv.Itoa(q.port)) + "/"
}

// curl is the question as a user would ask it.
func (q question) curl() string { return fmt.Sprintf("curl -H \"Host: %s\" %s", Host, q.url()) }

// ask sends the request of the quickstart and shows question and answer.
func ask(ctx context.Context, q question, out, narration io.Writer) error {
	fmt.Fprintf(narration, "\n$ %s\n", q.curl())
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, q.url(), nil)
	if err != nil {
		return err
	}
	req.Host = Host
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("request through the gateway: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("request through the gateway: %w", err)
	}
	fmt.Fprintf(narration, "%s %s\n", resp.Proto, resp.Status)
	if _, err := out.Write(append(bytes.TrimRight(body, "\n"), '\n')); err != nil {
		return err
	}
	var seen echo.Response
	if err := json.Unmarshal(body, &seen); resp.StatusCode != http.StatusOK || err != nil || seen.Host != Host {
		return ErrWrongAnswer
	}
	return nil
}
