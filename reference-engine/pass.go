package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/diff"
	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/health"
	enginesync "github.com/argoproj/argo-cd/gitops-engine/v3/pkg/sync"
	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/sync/common"
	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/utils/kube"
	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// pass is what the hooks of one pass share.
type pass struct {
	wire *wire
	// calls is held while a call of kubectl or a deletion is under way: one object after the other.
	calls sync.Mutex
	// lock guards what follows.
	lock   sync.Mutex
	failed error
	run    run
	// polled are the definitions that the engine has looked up since it applied them.
	polled map[string]bool
	health map[kube.ResourceKey]*healthStatus
}

// run is the group of tasks that the engine works on.
type run struct {
	phase     string
	wave      *int
	announced bool
	dry       bool
	active    bool
}

// runPass runs one pass of Argo CD's sync context and gives the message it ends with.
func runPass(order *incoming, w *wire, target *cluster) (outgoing, error) {
	p := &pass{wire: w, polled: map[string]bool{}, health: map[kube.ResourceKey]*healthStatus{}}
	watched := rest.CopyConfig(target.config)
	watched.Wrap(p.transport)
	live, foreign, modified, err := p.readLive(order.Live)
	if err != nil {
		return outgoing{}, err
	}
	targets := make([]*unstructured.Unstructured, 0, len(order.Targets))
	for _, target := range order.Targets {
		targets = append(targets, target.Unstructured)
	}
	reconciled := enginesync.Reconcile(targets, live, order.App.Namespace, scopes(order.Kinds))
	context, cleanup, err := newSyncContext(
		order, reconciled, watched, target.config, &kubectl{Kubectl: target.command, pass: p},
		append(p.options(order, foreign, modified), versionOptions(order.Options)...))
	if err != nil {
		return outgoing{}, fmt.Errorf("the engine does not start: %w", err)
	}
	defer cleanup()
	step(context, order.Type == "terminate")
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.failed != nil {
		return outgoing{}, p.failed
	}
	phase, message, results := context.GetState()
	return outgoing{Type: "done", Number: order.Number, Phase: string(phase), Message: message, Results: resultsOut(results)}, nil
}

// readLive sorts the live objects for the engine.
func (p *pass) readLive(items []liveItem) (
	live map[kube.ResourceKey]*unstructured.Unstructured,
	foreign map[kube.ResourceKey]bool,
	modified *diff.DiffResultList,
	err error,
) {
	live = map[kube.ResourceKey]*unstructured.Unstructured{}
	foreign = map[kube.ResourceKey]bool{}
	modified = &diff.DiffResultList{}
	for _, item := range items {
		key := kube.GetResourceKey(item.Object.Unstructured)
		live[key] = item.Object.Unstructured
		if item.Foreign {
			foreign[key] = true
		}
		if item.Health != nil {
			p.health[key] = item.Health
		}
		if item.Modified != nil {
			text, err := json.Marshal(item.Object.Unstructured)
			if err != nil {
				return nil, nil, nil, err
			}
			modified.Diffs = append(modified.Diffs, diff.DiffResult{NormalizedLive: text, PredictedLive: text, Modified: *item.Modified})
		}
	}
	return live, foreign, modified, nil
}

// options are those that the Application controller sets.
func (p *pass) options(order *incoming, foreign map[kube.ResourceKey]bool, modified *diff.DiffResultList) []enginesync.SyncOpt {
	o := order.Options
	policy := metav1.DeletionPropagation(o.PrunePropagationPolicy)
	all := []enginesync.SyncOpt{
		enginesync.WithLogr(logr.New(&sink{pass: p})),
		enginesync.WithHealthOverride(p),
		enginesync.WithPermissionValidator(permissions(order.Denied)),
		enginesync.WithOperationSettings(o.DryRun, o.Prune, o.Force, o.SkipHooks),
		enginesync.WithInitialState(common.OperationPhase(order.Phase), order.Message, resultsIn(order.Results), metav1.Unix(order.StartedAt, 0)),
		enginesync.WithResourcesFilter(filter(o.Resources, foreign)),
		enginesync.WithManifestValidation(o.Validate),
		enginesync.WithSyncWaveHook(p.waveHook),
		enginesync.WithPruneLast(o.PruneLast),
		enginesync.WithResourceModificationChecker(o.ApplyOutOfSyncOnly, modified),
		enginesync.WithPrunePropagationPolicy(&policy),
		enginesync.WithReplace(o.Replace),
		enginesync.WithServerSideApply(o.ServerSideApply),
		enginesync.WithServerSideApplyManager(o.Manager),
		enginesync.WithPruneConfirmed(o.PruneConfirmed),
	}
	if o.CreateNamespace {
		all = append(all, enginesync.WithNamespaceModifier(namespaceModifier(o.ManagedNamespace)))
	}
	return all
}

// GetResourceHealth is the health of kinds that the engine itself cannot judge, or that a script judges: the runner's
// word.
func (p *pass) GetResourceHealth(obj *unstructured.Unstructured) (*health.HealthStatus, error) {
	known := p.health[kube.GetResourceKey(obj)]
	if known == nil {
		return nil, nil
	}
	if !known.Override && health.GetHealthCheckFunc(obj.GroupVersionKind()) != nil {
		return nil, nil
	}
	if known.Error != "" {
		return nil, errors.New(known.Error)
	}
	return known.engines(), nil
}

// waveHook lets the runner wait: the tasks of a wave are done.
func (p *pass) waveHook(phase common.SyncPhase, wave int, final bool) error {
	p.lock.Lock()
	p.run.active = false
	p.lock.Unlock()
	return p.wire.report(outgoing{Type: "wait", Phase: string(phase), Wave: &wave, Final: final})
}

// fail keeps the first failure of the protocol: the pass ends with it.
func (p *pass) fail(err error) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.failed == nil {
		p.failed = err
	}
}

func filter(resources []selector, foreign map[kube.ResourceKey]bool) func(kube.ResourceKey, *unstructured.Unstructured, *unstructured.Unstructured) bool {
	return func(key kube.ResourceKey, target *unstructured.Unstructured, _ *unstructured.Unstructured) bool {
		if target == nil && foreign[key] {
			return false
		}
		if len(resources) == 0 {
			return true
		}
		for _, wanted := range resources {
			if wanted.Group == key.Group && wanted.Kind == key.Kind && wanted.Name == key.Name &&
				(wanted.Namespace == "" || wanted.Namespace == key.Namespace) {
				return true
			}
		}
		return false
	}
}

func permissions(denied []denial) common.PermissionValidator {
	return func(obj *unstructured.Unstructured, _ *metav1.APIResource) error {
		gvk := obj.GroupVersionKind()
		for _, no := range denied {
			// A name that is made up later is not known to the controller.
			named := no.Name == obj.GetName() || (no.Name == "" && obj.GetGenerateName() != "")
			if named && no.Group == gvk.Group && no.Kind == gvk.Kind && no.Namespace == obj.GetNamespace() {
				return errors.New(no.Message)
			}
		}
		return nil
	}
}

// namespaceModifier decides whether the destination namespace is synced, and with which metadata.
func namespaceModifier(managed *namespaceMetadata) func(*unstructured.Unstructured, *unstructured.Unstructured) (bool, error) {
	return func(namespace, live *unstructured.Unstructured) (bool, error) {
		if managed == nil {
			return live == nil, nil
		}
		annotations := map[string]string{}
		for key, value := range managed.Annotations {
			annotations[key] = value
		}
		annotations[common.AnnotationSyncOptions] = common.SyncOptionServerSideApply
		namespace.SetAnnotations(annotations)
		if len(managed.Labels) > 0 {
			namespace.SetLabels(managed.Labels)
		}
		return true, nil
	}
}

// scopes answers which kinds have a namespace.
type scopes []kindInfo

func (s scopes) IsNamespaced(gk schema.GroupKind) (bool, error) {
	for _, known := range s {
		if known.Group == gk.Group && known.Kind == gk.Kind {
			return known.Namespaced, nil
		}
	}
	return false, fmt.Errorf("%s is not known", gk)
}

func resultsIn(results []result) []common.ResourceSyncResult {
	out := make([]common.ResourceSyncResult, 0, len(results))
	for _, r := range results {
		stored := common.ResourceSyncResult{
			ResourceKey: kube.NewResourceKey(r.Group, r.Kind, r.Namespace, r.Name),
			Version:     r.Version,
			Order:       r.Order,
			Status:      common.ResultCode(r.Status),
			Message:     r.Message,
			HookType:    common.HookType(r.HookType),
			HookPhase:   common.OperationPhase(r.HookPhase),
			SyncPhase:   common.SyncPhase(r.SyncPhase),
		}
		setImages(&stored, r.Images)
		out = append(out, stored)
	}
	return out
}

func resultsOut(results []common.ResourceSyncResult) []result {
	out := make([]result, 0, len(results))
	for _, r := range results {
		out = append(out, result{
			Group: r.ResourceKey.Group, Kind: r.ResourceKey.Kind, Namespace: r.ResourceKey.Namespace, Name: r.ResourceKey.Name,
			Images:    images(r),
			Version:   r.Version,
			Order:     r.Order,
			Status:    string(r.Status),
			Message:   r.Message,
			HookType:  string(r.HookType),
			HookPhase: string(r.HookPhase),
			SyncPhase: string(r.SyncPhase),
		})
	}
	return out
}
