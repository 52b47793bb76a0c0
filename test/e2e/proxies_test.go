package e2e

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/egctl/egctl/test/e2e/suite"
)

// Checks of a site's proxies, for suite.Eventually.

func logLevel(site *suite.Site, level string) func(context.Context) error {
	return func(ctx context.Context) error {
		d, err := site.Kube.AppsV1().Deployments(site.Proxies).Get(ctx, site.Resource, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range d.Spec.Template.Spec.Containers {
			for _, arg := range c.Args {
				if have, ok := strings.CutPrefix(arg, "--log-level"); ok {
					if have = strings.Trim(have, "= "); have != level {
						return fmt.Errorf("its log level is %q", have)
					}
					return nil
				}
			}
		}
		return fmt.Errorf("no container has a log level")
	}
}

// podCount counts those on their way out, too.
func podCount(site *suite.Site, want int) func(context.Context) error {
	return func(ctx context.Context) error {
		pods, err := site.Kube.CoreV1().Pods(site.Proxies).List(ctx, metav1.ListOptions{LabelSelector: site.Selector})
		if err == nil && len(pods.Items) != want {
			err = fmt.Errorf("there are %d", len(pods.Items))
		}
		return err
	}
}

func restarted(site *suite.Site, want int32) func(context.Context) error {
	return func(ctx context.Context) error {
		pods, err := site.Pods(ctx, site.Proxies, site.Selector)
		if err != nil {
			return err
		}
		for _, p := range pods {
			for _, c := range p.Status.ContainerStatuses {
				if c.Name == "envoy" && c.RestartCount == want {
					return nil
				}
			}
		}
		return fmt.Errorf("no container was restarted %d times", want)
	}
}
