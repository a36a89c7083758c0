//go:build before_3_6

package main

// What only Argo CD before 3.6 has: comparisons without a context, and one that merges as the server would.

import (
	_ "unsafe" // for the link to a function of the controller

	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/diff"
	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/health"
	_ "github.com/argoproj/argo-cd/v3/controller" // has the function that is linked
	argodiff "github.com/argoproj/argo-cd/v3/util/argo/diff"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type healthFields struct {
	code health.HealthStatusCode
}

//go:linkname linked github.com/argoproj/argo-cd/v3/controller.normalizeTargetResources
func linked(*comparison) ([]*unstructured.Unstructured, error)

func normalizeTargetResources(compared *comparison, _ *types) ([]*unstructured.Unstructured, error) {
	return linked(compared)
}

func stateDiff(live, target *unstructured.Unstructured, config argodiff.DiffConfig) (diff.DiffResult, error) {
	return argodiff.StateDiff(live, target, config)
}

func mergeAsTheServer(builder *argodiff.DiffConfigBuilder) {
	builder.WithStructuredMergeDiff(true)
}
