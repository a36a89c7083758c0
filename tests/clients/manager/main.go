// Command manager is a controller-runtime manager as operators are: leader election, a cached client, a controller that
// owns what it makes, a finalizer, and status by conditions of a custom resource.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	extensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const finalizer = "example.com/clean-up"

var mirror = schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Mirror"}

func newMirror(name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(mirror)
	object.SetNamespace("default")
	object.SetName(name)
	return object
}

// reconciler copies `spec.text` of a Mirror into a ConfigMap of its name that it owns, says so in the status, and takes a
// ConfigMap `traces` note of each Mirror that goes away.
type reconciler struct{ client.Client }

func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	object := newMirror("")
	if err := r.Get(ctx, request.NamespacedName, object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !object.GetDeletionTimestamp().IsZero() {
		if controllerutil.ContainsFinalizer(object, finalizer) {
			note := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: request.Namespace, Name: "gone-" + request.Name}}
			if err := r.Create(ctx, note); err != nil && !apierrors.IsAlreadyExists(err) {
				return ctrl.Result{}, err
			}
			before := object.DeepCopy()
			controllerutil.RemoveFinalizer(object, finalizer)
			return ctrl.Result{}, r.Patch(ctx, object, client.MergeFrom(before))
		}
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(object, finalizer) {
		return ctrl.Result{}, r.Update(ctx, object)
	}
	text, _, _ := unstructured.NestedString(object.Object, "spec", "text")
	copied := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: request.Namespace, Name: request.Name}}
	_, err := controllerutil.CreateOrUpdate(ctx, r.Client, copied, func() error {
		copied.Data = map[string]string{"text": text}
		return controllerutil.SetControllerReference(object, copied, r.Scheme())
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	before := object.DeepCopy()
	_ = unstructured.SetNestedField(object.Object, text, "status", "copied")
	return ctrl.Result{}, r.Status().Patch(ctx, object, client.MergeFrom(before))
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	ctrl.SetLogger(klog.Background())
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
	fmt.Println("manager: done")
}

func run(ctx context.Context) error {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	if err := extensions.AddToScheme(scheme); err != nil {
		return err
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	direct, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	if err := define(ctx, direct); err != nil {
		return fmt.Errorf("definition: %w", err)
	}
	fmt.Println("manager: definition established")
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        scheme,
		LeaderElection:                true,
		LeaderElectionID:              "mirrors.example.com",
		LeaderElectionNamespace:       "default",
		LeaderElectionReleaseOnCancel: true,
		Metrics:                       metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		return err
	}
	watched := newMirror("")
	err = ctrl.NewControllerManagedBy(manager).For(watched).Owns(&corev1.ConfigMap{}).Complete(&reconciler{manager.GetClient()})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(running) }()
	select {
	case <-manager.Elected():
		fmt.Println("manager: elected")
	case err := <-ended:
		return fmt.Errorf("the manager ended: %w", err)
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := use(ctx, direct); err != nil {
		return err
	}
	stop()
	return <-ended
}

func define(ctx context.Context, direct client.Client) error {
	keep := true
	definition := &extensions.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "mirrors.example.com"},
		Spec: extensions.CustomResourceDefinitionSpec{
			Group: mirror.Group,
			Scope: extensions.NamespaceScoped,
			Names: extensions.CustomResourceDefinitionNames{Plural: "mirrors", Kind: mirror.Kind},
			Versions: []extensions.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema:       &extensions.CustomResourceValidation{OpenAPIV3Schema: &extensions.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &keep}},
				Subresources: &extensions.CustomResourceSubresources{Status: &extensions.CustomResourceSubresourceStatus{}},
			}},
		},
	}
	if err := direct.Create(ctx, definition); err != nil {
		return err
	}
	return poll(ctx, func() (bool, error) {
		found := &extensions.CustomResourceDefinition{}
		if err := direct.Get(ctx, client.ObjectKeyFromObject(definition), found); err != nil {
			return false, err
		}
		for _, condition := range found.Status.Conditions {
			if condition.Type == extensions.Established && condition.Status == extensions.ConditionTrue {
				return true, nil
			}
		}
		return false, nil
	})
}

func use(ctx context.Context, direct client.Client) error {
	object := newMirror("m")
	object.Object["spec"] = map[string]any{"text": "one"}
	if err := direct.Create(ctx, object); err != nil {
		return err
	}
	if err := shows(ctx, direct, "one"); err != nil {
		return fmt.Errorf("the copy never said one: %w", err)
	}
	if err := direct.Patch(ctx, object, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"text":"two"}}`))); err != nil {
		return err
	}
	if err := shows(ctx, direct, "two"); err != nil {
		return fmt.Errorf("the copy never said two: %w", err)
	}
	// What the controller owns and somebody removes comes back.
	copied := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "m"}}
	if err := direct.Delete(ctx, copied); err != nil {
		return err
	}
	if err := shows(ctx, direct, "two"); err != nil {
		return fmt.Errorf("the copy never came back: %w", err)
	}
	fmt.Println("manager: reconciled")
	if err := direct.Delete(ctx, object); err != nil {
		return err
	}
	err := poll(ctx, func() (bool, error) {
		err := direct.Get(ctx, client.ObjectKeyFromObject(object), newMirror(""))
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
	if err != nil {
		return fmt.Errorf("the Mirror never went away: %w", err)
	}
	note := &corev1.ConfigMap{}
	if err := direct.Get(ctx, client.ObjectKey{Namespace: "default", Name: "gone-m"}, note); err != nil {
		return err
	}
	err = poll(ctx, func() (bool, error) {
		err := direct.Get(ctx, client.ObjectKeyFromObject(copied), &corev1.ConfigMap{})
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
	if err != nil {
		return fmt.Errorf("the copy was not collected: %w", err)
	}
	fmt.Println("manager: cleaned up")
	return nil
}

func shows(ctx context.Context, direct client.Client, text string) error {
	return poll(ctx, func() (bool, error) {
		copied := &corev1.ConfigMap{}
		if err := direct.Get(ctx, client.ObjectKey{Namespace: "default", Name: "m"}, copied); err != nil {
			return false, client.IgnoreNotFound(err)
		}
		object := newMirror("m")
		if err := direct.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return false, err
		}
		said, _, _ := unstructured.NestedString(object.Object, "status", "copied")
		return copied.Data["text"] == text && said == text, nil
	})
}

func poll(ctx context.Context, check func() (bool, error)) error {
	return wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) { return check() })
}
