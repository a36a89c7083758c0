//go:build before_3_4 && !before_3_1

package main

// What Argo CD 3.1 to 3.3 have.

import (
	"context"

	enginesync "github.com/argoproj/argo-cd/gitops-engine/pkg/sync"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync/common"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	"k8s.io/kubectl/pkg/util/openapi"
)

// ManageResources gives the writing operations, reported.
func (k *kubectl) ManageResources(config *rest.Config, schema openapi.Resources) (kube.ResourceOperations, func(), error) {
	inner, cleanup, err := k.Kubectl.ManageResources(config, schema)
	if err != nil {
		return nil, nil, err
	}
	return &operations{ResourceOperations: inner, pass: k.pass}, cleanup, nil
}

func (o *operations) ApplyResource(ctx context.Context, obj *unstructured.Unstructured, dryRun cmdutil.DryRunStrategy, force, validate, serverSideApply bool, manager string) (string, error) {
	return o.pass.call("apply", obj, dryRun, func() (string, error) {
		return o.ResourceOperations.ApplyResource(ctx, obj, dryRun, force, validate, serverSideApply, manager)
	})
}

func newSyncContext(order *incoming, reconciled enginesync.ReconciliationResult, watched, raw *rest.Config, command kube.Kubectl, options []enginesync.SyncOpt) (enginesync.SyncContext, func(), error) {
	return enginesync.NewSyncContext(order.Revision, reconciled, watched, raw, command, order.App.Namespace, nil, options...)
}

// versionOptions are the options that not every version has.
func versionOptions(o options) []enginesync.SyncOpt {
	return []enginesync.SyncOpt{
		enginesync.WithClientSideApplyMigration(o.Migrate, o.MigrationManager),
		enginesync.WithSkipDryRunOnMissingResource(o.SkipDryRunOnMissingResource),
	}
}

func setImages(to *common.ResourceSyncResult, images []string) { to.Images = images }

func images(of common.ResourceSyncResult) []string { return of.Images }
