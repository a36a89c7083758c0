package main

// One pass of the deletion of an app, by the controller itself: what it makes, what it deletes, and which finalizers it leaves.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"

	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/utils/kube"
	"github.com/argoproj/argo-cd/v3/controller"
	statecache "github.com/argoproj/argo-cd/v3/controller/cache"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/reposerver/apiclient"
	"github.com/argoproj/argo-cd/v3/util/db"
	"github.com/argoproj/argo-cd/v3/util/settings"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apitypes "k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// passed is what a pass did, sorted.
type passed struct {
	Created    []string `json:"created"`
	Deleted    []string `json:"deleted"`
	Finalizers []string `json:"finalizers"`
	Failure    string   `json:"failure"`
}

// world is everything around the controller: the cluster, its cache, the repository and Argo CD's own database.
type world struct {
	statecache.LiveStateCache
	kube.Kubectl
	controller.AppStateManager
	db.ArgoDB
	asked question
	// byTracking says that only what belongs to the app is its own, not all that is there.
	byTracking bool

	mutex sync.Mutex
	did   passed
}

func (known *world) GetManagedLiveObjs(_ *v1alpha1.Cluster, _ *v1alpha1.Application, targets []*unstructured.Unstructured) (map[kube.ResourceKey]*unstructured.Unstructured, error) {
	if known.byTracking {
		return known.managed(targets), nil
	}
	out := map[kube.ResourceKey]*unstructured.Unstructured{}
	for _, pair := range known.asked.Pairs {
		if pair.Live != nil {
			live := (&unstructured.Unstructured{Object: pair.Live}).DeepCopy()
			out[kube.GetResourceKey(live)] = live
		}
	}
	return out, nil
}

func (known *world) GetRepoObjs(context.Context, *v1alpha1.Application, []v1alpha1.ApplicationSource, string, []string, bool, bool, *v1alpha1.SourceIntegrity, *v1alpha1.AppProject, bool) ([]*unstructured.Unstructured, []*apiclient.ManifestResponse, bool, error) {
	var out []*unstructured.Unstructured
	for _, pair := range known.asked.Pairs {
		if pair.Target != nil {
			out = append(out, (&unstructured.Unstructured{Object: pair.Target}).DeepCopy())
		}
	}
	return out, nil, false, nil
}

func (known *world) IsNamespaced(_ *v1alpha1.Cluster, kind schema.GroupKind) (bool, error) {
	if slices.Contains(known.asked.Unknown, kind.Kind) {
		return false, fmt.Errorf("%v is not served", kind)
	}
	return !slices.Contains([]string{"ClusterRole", "CustomResourceDefinition", "Namespace"}, kind.Kind), nil
}

func (known *world) GetCluster(context.Context, string) (*v1alpha1.Cluster, error) {
	// The configuration of the cluster that the controller runs in would be looked up in its files.
	return &v1alpha1.Cluster{Server: "https://localhost", Name: "in-cluster"}, nil
}

func (known *world) GetProjectClusters(context.Context, string) ([]*v1alpha1.Cluster, error) {
	return nil, nil
}

func (known *world) GetProjectRepositories(string) ([]*v1alpha1.Repository, error) { return nil, nil }

// refused is the answer to a request: what is named after an error gets it.
func refused(kind schema.GroupVersionKind, name string) error {
	resource := schema.GroupResource{Group: kind.Group, Resource: kind.Kind}
	switch name {
	case "there":
		return apierrors.NewAlreadyExists(resource, name)
	case "gone":
		return apierrors.NewNotFound(resource, name)
	case "forbidden":
		return apierrors.NewForbidden(resource, name, errors.New("no"))
	}
	return nil
}

func (known *world) CreateResource(_ context.Context, _ *rest.Config, kind schema.GroupVersionKind, name string, namespace string, object *unstructured.Unstructured, _ metav1.CreateOptions, _ ...string) (*unstructured.Unstructured, error) {
	known.mutex.Lock()
	defer known.mutex.Unlock()
	known.did.Created = append(known.did.Created, fmt.Sprintf("%s %s/%s", kind.Kind, namespace, name))
	if name == "gone" || name == "forbidden" {
		return object, nil
	}
	return object, refused(kind, name)
}

func (known *world) DeleteResource(_ context.Context, _ *rest.Config, kind schema.GroupVersionKind, name string, namespace string, options metav1.DeleteOptions) error {
	known.mutex.Lock()
	defer known.mutex.Unlock()
	propagation := metav1.DeletePropagationForeground
	if options.PropagationPolicy != nil {
		propagation = *options.PropagationPolicy
	}
	known.did.Deleted = append(known.did.Deleted, fmt.Sprintf("%s %s/%s %s", kind.Kind, namespace, name, propagation))
	if name == "there" {
		return nil
	}
	return refused(kind, name)
}

// Patch takes the finalizers that the controller leaves, or the state of the operation.
func (client *apps) Patch(_ context.Context, _ string, kind apitypes.PatchType, patch []byte, _ metav1.PatchOptions, _ ...string) (*v1alpha1.Application, error) {
	if kind == apitypes.JSONPatchType {
		client.state, client.broken = written(patch)
		return client.app, nil
	}
	var written struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
	}
	if err := json.Unmarshal(patch, &written); err != nil {
		return nil, err
	}
	client.finalizers = written.Metadata.Finalizers
	return client.app, nil
}

// installed are the settings of a fresh installation.
var installed = sync.OnceValue(func() *settings.SettingsManager {
	meta := metav1.ObjectMeta{Name: "argocd-cm", Namespace: "argocd", Labels: map[string]string{"app.kubernetes.io/part-of": "argocd"}}
	secret := meta
	secret.Name = "argocd-secret"
	objects := []runtime.Object{&corev1.ConfigMap{ObjectMeta: meta}, &corev1.Secret{ObjectMeta: secret, Data: map[string][]byte{"server.secretkey": []byte("key")}}}
	return settings.NewSettingsManager(context.Background(), fake.NewClientset(objects...), "argocd")
})

// deleted is what one pass of the deletion of an app does.
func deleted(asked question) answer {
	known := &world{asked: asked, did: passed{Created: []string{}, Deleted: []string{}}}
	app := asked.App
	for _, pair := range asked.Pairs {
		known.confirm(&app, pair)
	}
	client := &apps{app: &app, finalizers: app.Finalizers}
	projects := cache.NewSharedIndexInformer(&cache.ListWatch{}, &v1alpha1.AppProject{}, 0, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	project := &v1alpha1.AppProject{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: "argocd"}, Spec: asked.Project}
	if err := projects.GetIndexer().Add(project); err != nil {
		return answer{Error: err.Error()}
	}
	ctrl := &controller.ApplicationController{}
	for name, value := range map[string]any{
		"applicationClientset": client, "projInformer": projects, "namespace": "argocd", "settingsMgr": installed(),
		"stateCache": known, "kubectl": known, "appStateManager": known, "db": known,
	} {
		setField(ctrl, name, value)
	}
	err := finalizeApplicationDeletion(ctrl, &app)
	did := known.did
	did.Finalizers = append([]string{}, client.finalizers...)
	if err != nil {
		did.Failure = err.Error()
	}
	sort.Strings(did.Created)
	sort.Strings(did.Deleted)
	return answer{Passed: &did}
}

// confirm notes in the status of the app whether a resource asks for a confirmation, as the comparison before did.
func (known *world) confirm(app *v1alpha1.Application, pair pair) {
	asks, one := false, v1alpha1.ResourceStatus{}
	for _, object := range []map[string]any{pair.Target, pair.Live} {
		if object == nil {
			continue
		}
		resource := &unstructured.Unstructured{Object: object}
		kind := resource.GroupVersionKind()
		one.Group, one.Kind, one.Namespace, one.Name = kind.Group, kind.Kind, resource.GetNamespace(), resource.GetName()
		asks = asks || isObjRequiresDeletionConfirmation(resource, app)
	}
	one.RequiresDeletionConfirmation = asks
	app.Status.Resources = append(app.Status.Resources, one)
}
