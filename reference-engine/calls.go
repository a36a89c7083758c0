package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/sync/common"
	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/sync/hook"
	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/sync/syncwaves"
	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/utils/kube"
	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
)

// kubectl reports what goes through it.
type kubectl struct {
	kube.Kubectl
	pass *pass
}

// DeleteResource is how the engine prunes.
func (k *kubectl) DeleteResource(ctx context.Context, config *rest.Config, gvk schema.GroupVersionKind, name string, namespace string, deleteOptions metav1.DeleteOptions) error {
	k.pass.calls.Lock()
	defer k.pass.calls.Unlock()
	err := k.Kubectl.DeleteResource(ctx, config, gvk, name, namespace, deleteOptions)
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(gvk)
	obj.SetName(name)
	obj.SetNamespace(namespace)
	k.pass.told("delete", obj, false, "", err)
	return err
}

// operations reports the writes of one object each.
type operations struct {
	kube.ResourceOperations
	pass *pass
}

func (o *operations) ApplyResource(ctx context.Context, obj *unstructured.Unstructured, dryRun cmdutil.DryRunStrategy, force, validate, serverSideApply bool, manager string) (string, error) {
	return o.pass.call("apply", obj, dryRun, func() (string, error) {
		return o.ResourceOperations.ApplyResource(ctx, obj, dryRun, force, validate, serverSideApply, manager)
	})
}

func (o *operations) ReplaceResource(ctx context.Context, obj *unstructured.Unstructured, dryRun cmdutil.DryRunStrategy, force bool) (string, error) {
	return o.pass.call("replace", obj, dryRun, func() (string, error) {
		return o.ResourceOperations.ReplaceResource(ctx, obj, dryRun, force)
	})
}

func (o *operations) CreateResource(ctx context.Context, obj *unstructured.Unstructured, dryRun cmdutil.DryRunStrategy, validate bool) (string, error) {
	return o.pass.call("create", obj, dryRun, func() (string, error) {
		return o.ResourceOperations.CreateResource(ctx, obj, dryRun, validate)
	})
}

func (o *operations) UpdateResource(ctx context.Context, obj *unstructured.Unstructured, dryRun cmdutil.DryRunStrategy) (*unstructured.Unstructured, error) {
	var updated *unstructured.Unstructured
	_, err := o.pass.call("update", obj, dryRun, func() (string, error) {
		var err error
		updated, err = o.ResourceOperations.UpdateResource(ctx, obj, dryRun)
		return obj.GetKind() + "/" + obj.GetName() + " updated", err
	})
	return updated, err
}

// call makes one call after the other, and reports each the moment it returned.
func (p *pass) call(action string, obj *unstructured.Unstructured, dryRun cmdutil.DryRunStrategy, do func() (string, error)) (string, error) {
	p.calls.Lock()
	defer p.calls.Unlock()
	dry := dryRun != cmdutil.DryRunNone
	if !dry {
		p.announce()
	}
	message, err := do()
	p.told(action, obj, dry, message, err)
	return message, err
}

// told reports a call.
func (p *pass) told(action string, obj *unstructured.Unstructured, dry bool, message string, err error) {
	ok := err == nil
	if err != nil {
		message = err.Error()
	}
	p.lock.Lock()
	phase, wave := p.run.phase, p.run.wave
	p.lock.Unlock()
	if phase == "" {
		phase = common.SyncPhaseSync
		own := syncwaves.Wave(obj)
		wave = &own
	}
	gvk := obj.GroupVersionKind()
	report := outgoing{
		Type: "task", Action: action, Phase: phase, Wave: wave, Hook: hook.IsHook(obj), DryRun: dry, OK: &ok, Message: message,
		Object: &selector{Group: gvk.Group, Kind: gvk.Kind, Namespace: obj.GetNamespace(), Name: obj.GetName()},
	}
	if err := p.wire.report(report); err != nil {
		p.fail(err)
	}
	// The engine asks for a definition that it has just applied at once.
	p.lock.Lock()
	delete(p.polled, obj.GetName())
	p.lock.Unlock()
}

// announce tells that a run of a wave begins, before its first wet write.
func (p *pass) announce() {
	p.lock.Lock()
	run := p.run
	p.run.announced = true
	p.lock.Unlock()
	if run.announced || run.dry || run.phase == "" {
		return
	}
	if err := p.wire.report(outgoing{Type: "wave", Phase: run.phase, Wave: run.wave}); err != nil {
		p.fail(err)
	}
}

// isActive tells whether the engine runs the tasks of a wave: what it deletes afterwards begins nothing.
func (p *pass) isActive() bool {
	p.lock.Lock()
	defer p.lock.Unlock()
	return p.run.active
}

// definitions is where the engine polls until a custom resource definition is established.
const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"

// transport sees the requests that do not go through kubectl: writes begin a run, and polls take as long as they do.
func (p *pass) transport(inner http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		if name, found := strings.CutPrefix(request.URL.Path, definitions); found && request.Method == http.MethodGet {
			p.poll(name)
		}
		if request.Method != http.MethodGet && !strings.Contains(request.URL.RawQuery, "dryRun=") && p.isActive() {
			p.announce()
		}
		return inner.RoundTrip(request)
	})
}

// poll lets the engine's interval go by before it asks for the same definition again.
func (p *pass) poll(name string) {
	const interval = 100
	p.lock.Lock()
	again := p.polled[name]
	p.polled[name] = true
	p.lock.Unlock()
	if !again {
		return
	}
	if err := p.wire.report(outgoing{Type: "sleep", Millis: interval}); err != nil {
		p.fail(err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// sink reads from the engine's log which phase and wave it works on: its calls do not say.
type sink struct {
	pass   *pass
	values []any
}

func (s *sink) Init(logr.RuntimeInfo) {}

func (s *sink) Enabled(int) bool { return true }

func (s *sink) Error(error, string, ...any) {}

func (s *sink) WithName(string) logr.LogSink { return s }

func (s *sink) WithValues(values ...any) logr.LogSink {
	return &sink{pass: s.pass, values: append(s.values[:len(s.values):len(s.values)], values...)}
}

func (s *sink) Info(_ int, message string, _ ...any) {
	p := s.pass
	switch message {
	case "Creating namespace":
		// The task tells its place only by its text, which begins with phase/wave.
		task, _ := s.value("task").(fmt.Stringer)
		if task == nil {
			return
		}
		place, _, _ := strings.Cut(task.String(), " ")
		phase, number, _ := strings.Cut(place, "/")
		if wave, err := strconv.Atoi(number); err == nil {
			p.begin(phase, &wave)
		}
	case "Filtering tasks in correct phase and wave":
		phase, _ := s.value("phase").(common.SyncPhase)
		wave, isNumber := s.value("wave").(int)
		if phase == "" || !isNumber {
			return
		}
		p.begin(string(phase), &wave)
	case "Getting resource":
		// One look for each task, though tasks may share an object: that is no poll, and takes no time.
		if err := p.wire.report(outgoing{Type: "sleep"}); err != nil {
			p.fail(err)
		}
	case "Running sync fail tasks":
		p.begin(common.SyncPhaseSyncFail, nil)
	case "Running tasks":
		dry, _ := s.value("dryRun").(bool)
		p.lock.Lock()
		p.run.dry = dry
		p.run.announced = false
		p.run.active = true
		p.lock.Unlock()
	}
}

func (s *sink) value(name string) any {
	for i := 0; i+1 < len(s.values); i += 2 {
		if s.values[i] == name {
			return s.values[i+1]
		}
	}
	return nil
}

// begin notes what the engine works on next.
func (p *pass) begin(phase string, wave *int) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.run = run{phase: phase, wave: wave}
}
