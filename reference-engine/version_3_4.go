//go:build !before_3_4

package main

// What only Argo CD 3.4 and newer have.

import (
	enginesync "github.com/argoproj/argo-cd/gitops-engine/v3/pkg/sync"
	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/utils/kube"
	"k8s.io/client-go/rest"
)

// ManageResources gives the writing operations, reported.
func (k *kubectl) ManageResources(config *rest.Config) (kube.ResourceOperations, func(), error) {
	inner, cleanup, err := k.Kubectl.ManageResources(config)
	if err != nil {
		return nil, nil, err
	}
	return &operations{ResourceOperations: inner, pass: k.pass}, cleanup, nil
}

func newSyncContext(order *incoming, reconciled enginesync.ReconciliationResult, watched, raw *rest.Config, command kube.Kubectl, options []enginesync.SyncOpt) (enginesync.SyncContext, func(), error) {
	return enginesync.NewSyncContext(order.Revision, reconciled, watched, raw, command, order.App.Namespace, options...)
}

// versionOptions are the options that not every version has.
func versionOptions(o options) []enginesync.SyncOpt {
	return []enginesync.SyncOpt{
		enginesync.WithClientSideApplyMigration(o.Migrate, o.MigrationManager),
		enginesync.WithDefaultPruneOption(o.DefaultPrune),
		enginesync.WithSkipDryRunOnMissingResource(o.SkipDryRunOnMissingResource),
	}
}
