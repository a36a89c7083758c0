//go:build !before_3_6

package main

// What only Argo CD since 3.6 has: comparisons with a context, no merge of its own, types of custom resources in what a sync
// respects, and a message of the health.

import (
	"context"
	"time"
	_ "unsafe" // for the links to functions of the controller

	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/diff"
	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/health"
	"github.com/argoproj/argo-cd/v3/controller"
	"github.com/argoproj/argo-cd/v3/controller/metrics"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	argodiff "github.com/argoproj/argo-cd/v3/util/argo/diff"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/kubectl/pkg/util/openapi"
)

type healthFields struct {
	code    health.HealthStatusCode
	message string
}

//go:linkname linked github.com/argoproj/argo-cd/v3/controller.normalizeTargetResources
func linked(openapi.Resources, *comparison) ([]*unstructured.Unstructured, error)

func normalizeTargetResources(compared *comparison, known *types) ([]*unstructured.Unstructured, error) {
	return linked(known.resources, compared)
}

func stateDiff(live, target *unstructured.Unstructured, config argodiff.DiffConfig) (diff.DiffResult, error) {
	return argodiff.StateDiff(context.Background(), live, target, config)
}

func mergeAsTheServer(*argodiff.DiffConfigBuilder) {
	panic("the merge is the server's since 3.6")
}

//go:linkname linkedAutoSync github.com/argoproj/argo-cd/v3/controller.(*ApplicationController).autoSync
func linkedAutoSync(*controller.ApplicationController, context.Context, *v1alpha1.Application, *v1alpha1.SyncStatus, []v1alpha1.ResourceStatus, bool) (*v1alpha1.ApplicationCondition, time.Duration)

func autoSync(ctrl *controller.ApplicationController, app *v1alpha1.Application, status *v1alpha1.SyncStatus, resources []v1alpha1.ResourceStatus) (*v1alpha1.ApplicationCondition, time.Duration) {
	return linkedAutoSync(ctrl, context.Background(), app, status, resources, true)
}

//go:linkname linkedHealth github.com/argoproj/argo-cd/v3/controller.setApplicationHealth
func linkedHealth([]managedResource, []v1alpha1.ResourceStatus, map[string]v1alpha1.ResourceOverride, *v1alpha1.Application, bool) (health.HealthStatusCode, string, error)

func setApplicationHealth(managed []managedResource, statuses []v1alpha1.ResourceStatus, app *v1alpha1.Application) (*appStatus, error) {
	status, message, err := linkedHealth(managed, statuses, nil, app, true)
	return &appStatus{Status: string(status), Message: message}, err
}

func compareAppState(manager controller.AppStateManager, app *v1alpha1.Application, project *v1alpha1.AppProject, manifests []string) (any, error) {
	sources := []v1alpha1.ApplicationSource{app.Spec.GetSource()}
	return manager.CompareAppState(context.Background(), app, project, []string{"r1"}, sources, true, true, manifests, false)
}

func (syncer *syncer) SyncAppState(_ context.Context, _ *v1alpha1.Application, _ *v1alpha1.AppProject, state *v1alpha1.OperationState) {
	syncer.step(state)
}

func metricsServer() (*metrics.MetricsServer, error) {
	return metrics.NewMetricsServer("", nil, nil, nil, nil, nil)
}
