package conformance

import (
	"bufio"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/pkg/client/informers/externalversions"

	"github.com/egctl/egctl/test/e2e/suite"
)

// watchGateways measures how long Gateways take from their creation to
// Programmed=True, as a client sees it. What it returns stops that and says what
// was found.
func watchGateways(t *testing.T, s *suite.Suite) (figures func() string) {
	t.Helper()
	var mutex sync.Mutex
	seen := map[types.UID]time.Time{}
	took := map[types.UID]time.Duration{}
	informer := externalversions.NewSharedInformerFactory(s.Gateways, 0).Gateway().V1().Gateways().Informer()
	note := func(o any) {
		g := o.(*gatewayv1.Gateway)
		if g.Spec.GatewayClassName != class {
			return
		}
		mutex.Lock()
		defer mutex.Unlock()
		if _, known := seen[g.UID]; !known {
			seen[g.UID] = time.Now()
		}
		if _, known := took[g.UID]; !known && meta.IsStatusConditionTrue(g.Status.Conditions, string(gatewayv1.GatewayConditionProgrammed)) {
			took[g.UID] = time.Since(seen[g.UID])
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: note, UpdateFunc: func(_, o any) { note(o) }})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	go informer.Run(stop)
	if !cache.WaitForCacheSync(t.Context().Done(), informer.HasSynced) {
		t.Fatal("Gateways cannot be watched")
	}
	return func() string {
		close(stop)
		mutex.Lock()
		defer mutex.Unlock()
		var all []time.Duration
		for _, d := range took {
			all = append(all, d)
		}
		if len(all) == 0 {
			return "no Gateway was programmed"
		}
		slices.Sort(all)
		return fmt.Sprintf("%d of %d Gateways programmed, after %.1f s at the median and %.1f s for nine of ten", len(all), len(seen),
			all[len(all)/2].Seconds(), all[len(all)*9/10].Seconds())
	}
}

// controllerCPU is the processor time that the controller's pods have used, in
// seconds.
func controllerCPU(t *testing.T, s *suite.Suite) float64 {
	t.Helper()
	pods, err := s.Kube.CoreV1().Pods(suite.SystemNamespace).List(t.Context(), metav1.ListOptions{LabelSelector: suite.ControllerSelector})
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, p := range pods.Items {
		out, err := s.Kube.CoreV1().Pods(p.Namespace).ProxyGet("http", p.Name, "19001", "metrics", nil).DoRaw(t.Context())
		if err != nil {
			t.Log("the controller's metrics cannot be read: ", err)
			continue
		}
		for lines := bufio.NewScanner(strings.NewReader(string(out))); lines.Scan(); {
			if value, ok := strings.CutPrefix(lines.Text(), "process_cpu_seconds_total "); ok {
				f, err := strconv.ParseFloat(value, 64)
				if err != nil {
					t.Log(err)
				}
				sum += f
			}
		}
	}
	return sum
}
