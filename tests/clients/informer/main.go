// Command informer is a typed client-go program as controllers are: a protobuf clientset, shared informers with
// listers, writes whose effects must come back through the caches, a resumed watch and a paged list.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/pager"
	"k8s.io/client-go/util/retry"

	"k8s.io/apimachinery/pkg/runtime"
)

// contentTypes counts the media types of answers.
type contentTypes struct {
	next  http.RoundTripper
	mutex sync.Mutex
	seen  map[string]int
}

func (c *contentTypes) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := c.next.RoundTrip(request)
	if err == nil {
		c.mutex.Lock()
		c.seen[strings.Split(response.Header.Get("Content-Type"), ";")[0]]++
		c.mutex.Unlock()
	}
	return response, err
}

// seen counts what an informer told.
type seen struct {
	mutex                   sync.Mutex
	added, updated, deleted int
}

func (s *seen) counts() (int, int, int) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.added, s.updated, s.deleted
}

func (s *seen) handler() cache.ResourceEventHandlerFuncs {
	count := func(number *int) {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		*number++
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { count(&s.added) },
		UpdateFunc: func(any, any) { count(&s.updated) },
		DeleteFunc: func(any) { count(&s.deleted) },
	}
}

const (
	namespace = "informer"
	objects   = 20
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "informer:", err)
		os.Exit(1)
	}
	fmt.Println("informer: done")
}

func run(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf
	types := &contentTypes{seen: map[string]int{}}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		types.next = next
		return types
	})
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		run  func(context.Context, kubernetes.Interface) error
	}{
		{"caches", caches},
		{"conflicts", conflicts},
		{"rollout", rollout},
		{"resume", resume},
		{"pages", pages},
		{"failures", failures},
	} {
		if err := part.run(ctx, client); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		fmt.Println("informer:", part.name)
	}
	types.mutex.Lock()
	defer types.mutex.Unlock()
	fmt.Println("informer: answers by type", types.seen)
	if types.seen["application/vnd.kubernetes.protobuf"] == 0 || types.seen["application/json"] > 0 {
		return fmt.Errorf("answers were not all protobuf: %v", types.seen)
	}
	return nil
}

// caches: what is written comes back through informer and lister, once each.
func caches(ctx context.Context, client kubernetes.Interface) error {
	if _, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace))
	informer := factory.Core().V1().ConfigMaps()
	counts := &seen{}
	only := cache.FilteringResourceEventHandler{
		FilterFunc: func(object any) bool {
			if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = last.Obj
			}
			return strings.HasPrefix(object.(*corev1.ConfigMap).Name, "c-")
		},
		Handler: counts.handler(),
	}
	if _, err := informer.Informer().AddEventHandler(only); err != nil {
		return err
	}
	stop := make(chan struct{})
	defer factory.Shutdown()
	defer close(stop)
	factory.Start(stop)
	factory.WaitForCacheSync(stop)
	maps := client.CoreV1().ConfigMaps(namespace)
	for i := range objects {
		object := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("c-%02d", i), Labels: map[string]string{"half": fmt.Sprint(i % 2)}},
			Data:       map[string]string{"n": fmt.Sprint(i)},
			BinaryData: map[string][]byte{"b": {0, 1, 2, byte(i)}},
		}
		made, err := maps.Create(ctx, object, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		made.Data["n"] = "changed"
		if _, err := maps.Update(ctx, made, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	even := labels.SelectorFromSet(labels.Set{"half": "0"})
	check := func(context.Context) (bool, error) {
		found, err := informer.Lister().ConfigMaps(namespace).List(even)
		if err != nil || len(found) != objects/2 {
			return false, err
		}
		for _, one := range found {
			if one.Data["n"] != "changed" || len(one.BinaryData["b"]) != 4 || one.UID == "" || one.CreationTimestamp.IsZero() {
				return false, nil
			}
		}
		return true, nil
	}
	if err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 20*time.Second, true, check); err != nil {
		return fmt.Errorf("the cache never held what was written: %w", err)
	}
	if err := maps.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "half=1"}); err != nil {
		return err
	}
	gone := func(context.Context) (bool, error) {
		_, _, deleted := counts.counts()
		return deleted == objects/2, nil
	}
	if err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 20*time.Second, true, gone); err != nil {
		return fmt.Errorf("not all deletions were seen: %w", err)
	}
	if added, _, _ := counts.counts(); added != objects {
		return fmt.Errorf("%d objects were added, %d expected", added, objects)
	}
	return nil
}

// conflicts: writers on one object with optimistic locking lose no update.
func conflicts(ctx context.Context, client kubernetes.Interface) error {
	maps := client.CoreV1().ConfigMaps(namespace)
	if _, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "counter"}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	const writers, each = 4, 10
	problems := make(chan error, writers)
	for range writers {
		go func() {
			for range each {
				backoff := wait.Backoff{Steps: 200, Duration: time.Millisecond, Factor: 1.1, Jitter: 0.5, Cap: 50 * time.Millisecond}
				err := retry.RetryOnConflict(backoff, func() error {
					object, err := maps.Get(ctx, "counter", metav1.GetOptions{})
					if err != nil {
						return err
					}
					number := 0
					fmt.Sscan(object.Data["n"], &number)
					object.Data = map[string]string{"n": fmt.Sprint(number + 1)}
					_, err = maps.Update(ctx, object, metav1.UpdateOptions{})
					return err
				})
				if err != nil {
					problems <- err
					return
				}
			}
			problems <- nil
		}()
	}
	for range writers {
		if err := <-problems; err != nil {
			return err
		}
	}
	object, err := maps.Get(ctx, "counter", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if want := fmt.Sprint(writers * each); object.Data["n"] != want {
		return fmt.Errorf("the counter stands at %s instead of %s", object.Data["n"], want)
	}
	return nil
}

// rollout: a Deployment becomes available, its scale is written through the subresource.
func rollout(ctx context.Context, client kubernetes.Interface) error {
	deployments := client.AppsV1().Deployments(namespace)
	one := int32(1)
	label := map[string]string{"app": "web"}
	_, err := deployments.Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &one,
			Selector: &metav1.LabelSelector{MatchLabels: label},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: label},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "nginx:1"}}},
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	available := func(number int32) wait.ConditionWithContextFunc {
		return func(ctx context.Context) (bool, error) {
			object, err := deployments.Get(ctx, "web", metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			return object.Status.AvailableReplicas == number && object.Status.ObservedGeneration == object.Generation, nil
		}
	}
	if err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 30*time.Second, true, available(1)); err != nil {
		return err
	}
	scale, err := deployments.GetScale(ctx, "web", metav1.GetOptions{})
	if err != nil {
		return err
	}
	scale.Spec.Replicas = 2
	if _, err := deployments.UpdateScale(ctx, "web", scale, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 30*time.Second, true, available(2)); err != nil {
		return err
	}
	pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil {
		return err
	}
	for _, pod := range pods.Items {
		if pod.Status.Phase != corev1.PodRunning || pod.Spec.NodeName == "" || len(pod.OwnerReferences) != 1 {
			return fmt.Errorf("Pod %s is %s on %q", pod.Name, pod.Status.Phase, pod.Spec.NodeName)
		}
	}
	return nil
}

// resume: a watch from the revision of a list sees all that came after it, in order.
func resume(ctx context.Context, client kubernetes.Interface) error {
	maps := client.CoreV1().ConfigMaps(namespace)
	list, err := maps.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range 5 {
		if _, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("w-%d", i)}}, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	watcher, err := maps.Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return err
	}
	defer watcher.Stop()
	for i := 0; i < 5; {
		event, open := <-watcher.ResultChan()
		if !open {
			return fmt.Errorf("the watch ended after %d events", i)
		}
		object, ok := event.Object.(*corev1.ConfigMap)
		if !ok || event.Type == watch.Error {
			return fmt.Errorf("a watch gave %v", event)
		}
		if !strings.HasPrefix(object.Name, "w-") {
			continue
		}
		if want := fmt.Sprintf("w-%d", i); object.Name != want {
			return fmt.Errorf("the watch gave %s instead of %s", object.Name, want)
		}
		i++
	}
	return nil
}

// pages: a list in pages gives every object once.
func pages(ctx context.Context, client kubernetes.Interface) error {
	maps := client.CoreV1().ConfigMaps(namespace)
	whole, err := maps.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	pages := pager.New(pager.SimplePageFunc(func(options metav1.ListOptions) (runtime.Object, error) {
		return maps.List(ctx, options)
	}))
	pages.PageSize = 3
	names := map[string]bool{}
	err = pages.EachListItem(ctx, metav1.ListOptions{}, func(object runtime.Object) error {
		names[object.(*corev1.ConfigMap).Name] = true
		return nil
	})
	if err != nil {
		return err
	}
	if len(names) != len(whole.Items) {
		return fmt.Errorf("%d objects in pages, %d at once", len(names), len(whole.Items))
	}
	return nil
}

// failures: errors are the typed ones.
func failures(ctx context.Context, client kubernetes.Interface) error {
	maps := client.CoreV1().ConfigMaps(namespace)
	if _, err := maps.Get(ctx, "nobody", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return fmt.Errorf("not a 404: %w", err)
	}
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "counter"}}
	if _, err := maps.Create(ctx, object, metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("not an AlreadyExists: %w", err)
	}
	object = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "Not A Name"}}
	if _, err := maps.Create(ctx, object, metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		return fmt.Errorf("not an Invalid: %w", err)
	}
	if err := client.CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{}); err != nil {
		return err
	}
	gone := func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	}
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 60*time.Second, true, gone)
}
