package kube

import (
	"log/slog"
	"time"
)

// reminder is how often a trouble that lasts is logged again.
const reminder = 5 * time.Minute

// troubles logs what is wrong when it begins, when it lasts, and when it is over:
// retries alone are no news.
type troubles struct {
	logger *slog.Logger
	known  map[string]trouble
}

type trouble struct {
	error  string
	logged time.Time
}

// server is the trouble that all watchers share.
const server = ""

func (t *troubles) report(about, message string, err error, remedy string) {
	k := t.known[about]
	if time.Since(k.logged) < reminder && (k.error == err.Error() || about == server) {
		return
	}
	t.known[about] = trouble{err.Error(), time.Now()}
	args := []any{"error", err}
	if remedy != "" {
		args = append(args, "remedy", remedy)
	}
	t.logger.Warn(message, args...)
}

func (t *troubles) unreachable(err error) {
	t.report(server, "the API server cannot be reached; what it said before stays in force", err, "")
}

// over says that something works again.
func (t *troubles) over(about string) {
	for _, a := range []string{server, about} {
		if _, ok := t.known[a]; !ok {
			continue
		}
		delete(t.known, a)
		if a == server {
			t.logger.Info("the API server can be reached again")
		} else {
			t.logger.Info("watching again", "what", a)
		}
	}
}

func (t *troubles) forget(about string) { delete(t.known, about) }
