package main

// What only the application controller says: whether auto-sync starts an operation, and the health of an app.

import (
	"context"
	"errors"
	"math"
	"reflect"
	"time"
	"unsafe" // for the controller's own fields

	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/diff"
	"github.com/argoproj/argo-cd/v3/controller"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	clientset "github.com/argoproj/argo-cd/v3/pkg/client/clientset/versioned"
	typed "github.com/argoproj/argo-cd/v3/pkg/client/clientset/versioned/typed/application/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
)

// managedResource has the fields of the controller's own.
type managedResource struct {
	Target          *unstructured.Unstructured
	Live            *unstructured.Unstructured
	Diff            diff.DiffResult
	Group           string
	Version         string
	Kind            string
	Namespace       string
	Name            string
	Hook            bool
	ResourceVersion string
}

// decision is what auto-sync does: an operation, a condition, or that it looks again after so many seconds.
type decision struct {
	Start     *v1alpha1.Operation `json:"start,omitempty"`
	SyncError string              `json:"syncError,omitempty"`
	Later     float64             `json:"later,omitempty"`
}

// apps is the client of the controller: it has one app, and takes what the controller wants to write.
type apps struct {
	clientset.Interface
	typed.ArgoprojV1alpha1Interface
	typed.ApplicationInterface
	app        *v1alpha1.Application
	started    *v1alpha1.Operation
	finalizers []string
	state      *v1alpha1.OperationState
	broken     error
}

var errTaken = errors.New("taken")

func (client *apps) ArgoprojV1alpha1() typed.ArgoprojV1alpha1Interface { return client }

func (client *apps) Applications(string) typed.ApplicationInterface { return client }

func (client *apps) Get(context.Context, string, metav1.GetOptions) (*v1alpha1.Application, error) {
	return client.app, nil
}

func (client *apps) Update(_ context.Context, app *v1alpha1.Application, _ metav1.UpdateOptions) (*v1alpha1.Application, error) {
	client.started = app.Operation
	return nil, errTaken
}

// queue takes down when the controller wants to look again.
type queue struct {
	workqueue.TypedRateLimitingInterface[string]
	after time.Duration
	added bool
}

func (refreshes *queue) AddAfter(_ string, after time.Duration) { refreshes.after = after }

func setField(owner any, name string, value any) {
	field := reflect.ValueOf(owner).Elem().FieldByName(name)
	reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Set(reflect.ValueOf(value))
}

// decided is what auto-sync does with an app that compares so, with the back-off of a fresh installation.
func decided(asked question) answer {
	client, refreshes := &apps{app: &asked.App}, &queue{}
	ctrl := &controller.ApplicationController{}
	setField(ctrl, "applicationClientset", client)
	setField(ctrl, "appComparisonTypeRefreshQueue", refreshes)
	setField(ctrl, "selfHealBackoff", &wait.Backoff{Duration: 2 * time.Second, Factor: 3, Cap: 5 * time.Minute})
	condition, _ := autoSync(ctrl, &asked.App, &asked.Sync, asked.Resources)
	out := &decision{Start: client.started, Later: math.Ceil(refreshes.after.Seconds())}
	if condition != nil && out.Start == nil {
		out.SyncError = condition.Message
	}
	return answer{Decision: out}
}

// appHealth is the health of an app that has these objects, and each one's.
func appHealth(asked question) answer {
	managed, statuses := make([]managedResource, len(asked.Pairs)), make([]v1alpha1.ResourceStatus, len(asked.Pairs))
	for i, pair := range asked.Pairs {
		one := &managed[i]
		for _, object := range []map[string]any{pair.Target, pair.Live} {
			if object == nil {
				continue
			}
			known := &unstructured.Unstructured{Object: object}
			kind := known.GroupVersionKind()
			one.Group, one.Version, one.Kind, one.Namespace, one.Name = kind.Group, kind.Version, kind.Kind, known.GetNamespace(), known.GetName()
		}
		if pair.Target != nil {
			one.Target = &unstructured.Unstructured{Object: pair.Target}
		}
		if pair.Live != nil {
			one.Live = &unstructured.Unstructured{Object: pair.Live}
		}
	}
	health, err := setApplicationHealth(managed, statuses, &asked.App)
	for _, status := range statuses {
		health.Resources = append(health.Resources, status.Health)
	}
	if err != nil {
		health.Error = err.Error()
	}
	return answer{App: health}
}

// pair is an object as it is desired, as it is in the cluster, or both.
type pair struct {
	Target map[string]any `json:"target"`
	Live   map[string]any `json:"live"`
}

// health of an app, and of its objects in their order.
type appStatus struct {
	Status    string                   `json:"status"`
	Message   string                   `json:"message"`
	Resources []*v1alpha1.HealthStatus `json:"resources"`
	Error     string                   `json:"error"`
}
