package main

// One look of the controller at an operation: what it does, and how the operation stands then.

import (
	"encoding/json"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/sync/common"
	"github.com/argoproj/argo-cd/v3/controller"
	"github.com/argoproj/argo-cd/v3/controller/metrics"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/argo"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
)

// outcome is what the sync of a pass leaves, and whether somebody asks for the end of the operation meanwhile.
type outcome struct {
	Phase      common.OperationPhase `json:"phase"`
	Message    string                `json:"message"`
	Terminated bool                  `json:"terminated"`
}

// standing is what a pass does (`act`, with the message that the sync finds, and whether it finds results and a revision
// of before), how the operation stands then, and whether a comparison is asked for. Where nothing is done yet, it is done
// after so many seconds (`later`).
type standing struct {
	Act      string                `json:"act"`
	Found    string                `json:"found,omitempty"`
	Results  bool                  `json:"results"`
	Revision string                `json:"revision"`
	Phase    common.OperationPhase `json:"phase"`
	Message  string                `json:"message"`
	Retries  int64                 `json:"retries"`
	Ended    bool                  `json:"ended"`
	Compares bool                  `json:"compares"`
	Later    float64               `json:"later,omitempty"`
}

// syncer is the sync of a pass.
type syncer struct {
	controller.AppStateManager
	step func(*v1alpha1.OperationState)
}

func (refreshes *queue) AddRateLimited(string) { refreshes.added = true }

// written takes the state of the operation out of what the controller writes.
func written(patch []byte) (*v1alpha1.OperationState, error) {
	var changes []struct {
		Path  string          `json:"path"`
		Value json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(patch, &changes); err != nil {
		return nil, err
	}
	for _, change := range changes {
		if change.Path == "/status/operationState" {
			state := &v1alpha1.OperationState{}
			return state, json.Unmarshal(change.Value, state)
		}
	}
	return nil, errors.New("no state of an operation is written")
}

// counters are of one process.
var counters = sync.OnceValues(func() (*metrics.MetricsServer, error) { return metricsServer() })

// operated is what the controller does with the operation of an app.
func operated(asked question) answer {
	counted, err := counters()
	if err != nil {
		return answer{Error: err.Error()}
	}
	app, fresh := &asked.App, asked.App.DeepCopy()
	out := &standing{Act: "nothing"}
	step := func(state *v1alpha1.OperationState) {
		out.Act, out.Found = "step", state.Message
		if state.Phase == common.OperationTerminating {
			out.Act = "terminate"
		}
		out.Results, out.Revision = state.SyncResult != nil, state.Operation.Sync.Revision
		if asked.Outcome.Terminated {
			fresh.Status.OperationState = &v1alpha1.OperationState{Phase: common.OperationTerminating}
		}
		state.Phase, state.Message = asked.Outcome.Phase, asked.Outcome.Message
	}
	client, refreshes, operations := &apps{app: fresh, state: app.Status.OperationState}, &queue{}, &queue{}
	informer := cache.NewSharedIndexInformer(&cache.ListWatch{}, &v1alpha1.Application{}, 0, cache.Indexers{})
	projects := cache.NewSharedIndexInformer(&cache.ListWatch{}, &v1alpha1.AppProject{}, 0, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	project := &v1alpha1.AppProject{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: "argocd"}}
	if err := projects.GetIndexer().Add(project); err != nil {
		return answer{Error: err.Error()}
	}
	known := &world{asked: asked}
	ctrl := &controller.ApplicationController{}
	for name, value := range map[string]any{
		"applicationClientset": client, "projInformer": projects, "appInformer": informer, "namespace": "argocd", "settingsMgr": installed(), "db": known,
		"appStateManager": &syncer{step: step}, "appRefreshQueue": refreshes, "appComparisonTypeRefreshQueue": refreshes, "appOperationQueue": operations, "syncTimeout": asked.Timeout * time.Second,
		"refreshRequestedApps": map[string]controller.CompareWith{}, "refreshRequestedAppsMutex": &sync.Mutex{},
		"auditLogger": argo.NewAuditLogger(fake.NewClientset(), "argocd", "controller", nil), "metricsServer": counted,
	} {
		setField(ctrl, name, value)
	}
	processRequestedAppOperation(ctrl, app)
	if client.broken != nil {
		return answer{Error: client.broken.Error()}
	}
	state := client.state
	out.Phase, out.Message, out.Retries, out.Ended = state.Phase, state.Message, state.RetryCount, state.FinishedAt != nil
	out.Compares = refreshes.added
	if out.Act == "nothing" {
		out.Later = math.Ceil(max(operations.after, refreshes.after).Seconds())
		if limit := asked.Timeout * time.Second; limit > 0 {
			// Before 3.6 the end of its time waits in the queue since the operation began.
			out.Later = min(out.Later, math.Ceil(time.Until(state.StartedAt.Add(limit)).Seconds()))
		}
	}
	return answer{Standing: out}
}
