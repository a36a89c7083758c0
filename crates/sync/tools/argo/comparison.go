package main

// The comparison of a whole app by the controller itself: which objects count, their status, and what is remarkable.

import (
	"encoding/json"
	"reflect"
	"slices"
	"time"
	"unsafe" // for the controller's own fields

	clustercache "github.com/argoproj/argo-cd/gitops-engine/v3/pkg/cache"
	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/utils/kube"
	"github.com/argoproj/argo-cd/v3/controller"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/argo"
	"github.com/argoproj/argo-cd/v3/util/argo/normalizers"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
)

const instanceLabel = "app.kubernetes.io/instance"

// found is what a comparison says: the objects that have a status, or are to be pruned, and the conditions by their types.
type found struct {
	Status     string                    `json:"status"`
	Resources  []v1alpha1.ResourceStatus `json:"resources"`
	Conditions map[string][]string       `json:"conditions"`
}

// view is what the controller's cache shows of the cluster.
type view struct {
	clustercache.ClusterCache
	known *world
}

func (seen *view) IsNamespaced(kind schema.GroupKind) (bool, error) {
	return seen.known.IsNamespaced(nil, kind)
}

func (seen *view) GetGVKParser() *managedfields.GvkParser { return nil }

func (known *world) GetClusterCache(*v1alpha1.Cluster) (clustercache.ClusterCache, error) {
	return &view{known: known}, nil
}

var tracking = argo.NewResourceTracking()

// managed are the live objects that belong to an app, and those that are desired, as the cache of the cluster gives them.
func (known *world) managed(targets []*unstructured.Unstructured) map[kube.ResourceKey]*unstructured.Unstructured {
	out := map[kube.ResourceKey]*unstructured.Unstructured{}
	for _, pair := range known.asked.Pairs {
		if pair.Live == nil {
			continue
		}
		live := (&unstructured.Unstructured{Object: pair.Live}).DeepCopy()
		key := kube.GetResourceKey(live)
		owner := tracking.GetAppName(live, instanceLabel, v1alpha1.TrackingMethodAnnotation, "")
		wanted := slices.ContainsFunc(targets, func(target *unstructured.Unstructured) bool { return kube.GetResourceKey(target) == key })
		if wanted || (owner == known.asked.App.Name && len(live.GetOwnerReferences()) == 0) {
			out[key] = live
		}
	}
	return out
}

func getField[T any](owner any, name string) T {
	field := reflect.ValueOf(owner).Elem().FieldByName(name)
	return reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Interface().(T)
}

// compared is what a refresh finds of an app. Its objects are rendered as the repository server renders them.
func compared(asked question) answer {
	known := &world{asked: asked, byTracking: true}
	app, project := &asked.App, &v1alpha1.AppProject{Spec: asked.Project}
	var manifests []string
	for _, pair := range asked.Pairs {
		if pair.Target == nil {
			continue
		}
		target := (&unstructured.Unstructured{Object: pair.Target}).DeepCopy()
		if !kube.IsCRD(target) {
			if err := tracking.SetAppInstance(target, instanceLabel, app.Name, app.Spec.Destination.Namespace, v1alpha1.TrackingMethodAnnotation, ""); err != nil {
				return answer{Error: err.Error()}
			}
		}
		text, err := json.Marshal(target.Object)
		if err != nil {
			return answer{Error: err.Error()}
		}
		manifests = append(manifests, string(text))
	}
	manager := controller.NewAppStateManager(known, nil, nil, "argocd", known, nil, installed(), known, nil, nil, time.Minute, tracking, true, 0, false, normalizers.IgnoreNormalizerOpts{})
	result, err := compareAppState(manager, app, project, manifests)
	if err != nil {
		return answer{Error: err.Error()}
	}
	out := &found{Conditions: map[string][]string{}}
	out.Status = string(getField[*v1alpha1.SyncStatus](result, "syncStatus").Status)
	out.Resources = getField[[]v1alpha1.ResourceStatus](result, "resources")
	for _, condition := range app.Status.Conditions {
		out.Conditions[condition.Type] = append(out.Conditions[condition.Type], condition.Message)
	}
	return answer{Found: out}
}
