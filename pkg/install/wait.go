package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/release"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Wait waits until the workloads of a release run in the version that it has. On
// time-out the error says which pod is in the way and why.
func (i *Installer) Wait(ctx context.Context, r *release.Release, timeout time.Duration) error {
	all, err := objects(r.Manifest)
	if err != nil {
		return fmt.Errorf("read the manifest of release %s: %w", r.Name, err)
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	last := ""
	for {
		state, err := i.pending(limited, all)
		switch {
		case err == nil && state == "":
			return nil
		case err != nil && limited.Err() == nil:
			return err
		case err == nil && state != last:
			last = state
			i.o.State(state)
		}
		select {
		case <-limited.Done():
			if ctx.Err() != nil {
				return fmt.Errorf("wait for release %s: %w; last seen: %s", r.Name, ctx.Err(), last)
			}
			return fmt.Errorf("release %s does not run, after %s: %s%s", r.Name, timeout, last, i.log(ctx, all))
		case <-time.After(time.Second / 2):
		}
	}
}

// pending says what does not run yet, the reason before what follows from it; "" if
// everything does.
func (i *Installer) pending(ctx context.Context, all map[string]map[string]any) (string, error) {
	var waiting []string
	for _, w := range workloads(all, i.o.Namespace) {
		state, selector, err := i.rollout(ctx, w)
		if err != nil {
			return "", fmt.Errorf("get %s: %w", w, err)
		}
		if state == "" {
			continue
		}
		state = w.String() + ": " + state
		pods, err := i.pods(ctx, w.namespace, selector)
		if err != nil {
			return "", err
		}
		if trouble := podTrouble(pods); trouble != "" {
			state = trouble + " (" + state + ")"
		}
		waiting = append(waiting, state)
	}
	return strings.Join(waiting, "; "), nil
}

type workload struct{ kind, namespace, name string }

func (w workload) String() string { return strings.ToLower(w.kind) + " " + w.name }

func workloads(all map[string]map[string]any, namespace string) []workload {
	var out []workload
	for _, o := range all {
		kind, _ := o["kind"].(string)
		if kind != "Deployment" && kind != "DaemonSet" && kind != "StatefulSet" {
			continue
		}
		meta, _ := o["metadata"].(map[string]any)
		w := workload{kind: kind, namespace: namespace}
		w.name, _ = meta["name"].(string)
		if ns, ok := meta["namespace"].(string); ok {
			w.namespace = ns
		}
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b workload) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// rollout says how far a workload is, "" if it is done, and which pods are its own.
func (i *Installer) rollout(ctx context.Context, w workload) (string, *metav1.LabelSelector, error) {
	apps := i.client.AppsV1()
	switch w.kind {
	case "Deployment":
		d, err := apps.Deployments(w.namespace).Get(ctx, w.name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return "not there", nil, nil
		}
		if err != nil {
			return "", nil, err
		}
		return deploymentState(d), d.Spec.Selector, nil
	case "DaemonSet":
		d, err := apps.DaemonSets(w.namespace).Get(ctx, w.name, metav1.GetOptions{})
		if err != nil {
			return "", nil, err
		}
		return progress(d.Status.ObservedGeneration < d.Generation, d.Status.DesiredNumberScheduled, d.Status.UpdatedNumberScheduled, d.Status.NumberReady), d.Spec.Selector, nil
	default:
		s, err := apps.StatefulSets(w.namespace).Get(ctx, w.name, metav1.GetOptions{})
		if err != nil {
			return "", nil, err
		}
		wanted := int32(1)
		if s.Spec.Replicas != nil {
			wanted = *s.Spec.Replicas
		}
		return progress(s.Status.ObservedGeneration < s.Generation, wanted, s.Status.UpdatedReplicas, s.Status.ReadyReplicas), s.Spec.Selector, nil
	}
}

func deploymentState(d *appsv1.Deployment) string {
	wanted := int32(1)
	if d.Spec.Replicas != nil {
		wanted = *d.Spec.Replicas
	}
	state := progress(d.Status.ObservedGeneration < d.Generation, wanted, d.Status.UpdatedReplicas, d.Status.AvailableReplicas)
	if state == "" && d.Status.Replicas > d.Status.UpdatedReplicas {
		old := d.Status.Replicas - d.Status.UpdatedReplicas
		state = fmt.Sprintf("%d of the old version still to end", old)
		if d.Status.UnavailableReplicas > 0 {
			// They are not waited for: they wait themselves, for the new ones.
			state = fmt.Sprintf("the new version is not ready, %d of the old one still there", old)
		}
	}
	for _, c := range d.Status.Conditions {
		// Such as a quota or a webhook that lets no pod be made.
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue && state != "" {
			state += ": " + c.Message
		}
	}
	return state
}

func progress(unseen bool, wanted, updated, ready int32) string {
	switch {
	case unseen:
		return "not seen by its controller yet"
	case updated < wanted:
		return fmt.Sprintf("%d of %d pods made", updated, wanted)
	case ready < wanted:
		return fmt.Sprintf("%d of %d pods ready", ready, wanted)
	default:
		return ""
	}
}

func (i *Installer) pods(ctx context.Context, namespace string, selector *metav1.LabelSelector) ([]corev1.Pod, error) {
	if selector == nil {
		return nil, nil
	}
	list, err := i.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(selector)})
	if apierrors.IsForbidden(err) {
		return nil, nil // only the reason is missing then
	}
	if err != nil {
		return nil, fmt.Errorf("list pods in namespace %s: %w", namespace, err)
	}
	// The newest tells most.
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	return list.Items, nil
}

// podTrouble says what is the matter with the first pod that is not ready, in the
// words of what Kubernetes says about it.
func podTrouble(pods []corev1.Pod) string {
	for _, p := range pods {
		if p.DeletionTimestamp != nil {
			continue
		}
		if s := podState(&p); s != "" {
			return fmt.Sprintf("pod %s: %s", p.Name, s)
		}
	}
	return ""
}

func podState(p *corev1.Pod) string {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return joined(c.Reason, c.Message)
		}
	}
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		name := "container " + s.Name + ": "
		switch {
		case s.State.Waiting != nil:
			out := name + joined(s.State.Waiting.Reason, s.State.Waiting.Message)
			if t := s.LastTerminationState.Terminated; t != nil {
				out += fmt.Sprintf("; it ended with code %d (%s), %d times so far", t.ExitCode, t.Reason, s.RestartCount)
			}
			return out
		case s.State.Terminated != nil && s.State.Terminated.ExitCode != 0:
			return fmt.Sprintf("%sended with code %d (%s)", name, s.State.Terminated.ExitCode, joined(s.State.Terminated.Reason, s.State.Terminated.Message))
		case s.State.Running != nil && !s.Ready && s.Started != nil && !*s.Started:
			return name + "runs, not started by its startup probe yet"
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status != corev1.ConditionTrue {
			return joined(c.Reason, c.Message)
		}
	}
	if len(p.Status.ContainerStatuses) == 0 {
		return joined(string(p.Status.Phase), p.Status.Message)
	}
	return ""
}

func joined(reason, message string) string {
	switch {
	case message == "":
		return reason
	case reason == "":
		return message
	default:
		return reason + ": " + message
	}
}

// log is the end of what a failing container of the release said, if one does.
func (i *Installer) log(ctx context.Context, all map[string]map[string]any) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, w := range workloads(all, i.o.Namespace) {
		state, selector, err := i.rollout(ctx, w)
		if err != nil || state == "" {
			continue
		}
		pods, err := i.pods(ctx, w.namespace, selector)
		if err != nil {
			continue
		}
		for _, p := range pods {
			for _, s := range p.Status.ContainerStatuses {
				if s.Ready {
					continue
				}
				if text, err := i.tail(ctx, &p, s); err == nil && text != "" {
					return fmt.Sprintf("\n  the last words of container %s in pod %s:\n    %s", s.Name, p.Name, strings.ReplaceAll(text, "\n", "\n    "))
				}
			}
		}
	}
	return ""
}

func (i *Installer) tail(ctx context.Context, p *corev1.Pod, s corev1.ContainerStatus) (text string, err error) {
	last := int64(5)
	o := &corev1.PodLogOptions{Container: s.Name, TailLines: &last, Previous: s.State.Waiting != nil && s.LastTerminationState.Terminated != nil}
	stream, err := i.client.CoreV1().Pods(p.Namespace).GetLogs(p.Name, o).Stream(ctx)
	if err != nil {
		return "", fmt.Errorf("read the log of pod %s: %w", p.Name, err)
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	b, err := io.ReadAll(io.LimitReader(stream, 4096))
	return strings.TrimSpace(string(b)), err
}
