//go:build !before_3_6

package main

// What only Argo CD since 3.6 has: comparisons with a context, no merge of its own, types of custom resources in what a sync
// respects, and a message of the health.

import (
	"context"
	_ "unsafe" // for the link to a function of the controller

	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/diff"
	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/health"
	_ "github.com/argoproj/argo-cd/v3/controller" // has the function that is linked
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
