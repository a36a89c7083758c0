//go:build before_3_4 && !before_3_1

package main

// What only Argo CD 3.1 to 3.3 have.

import enginesync "github.com/argoproj/argo-cd/gitops-engine/v3/pkg/sync"

// versionOptions are the options that not every version has.
func versionOptions(o options) []enginesync.SyncOpt {
	return []enginesync.SyncOpt{
		enginesync.WithClientSideApplyMigration(o.Migrate, o.MigrationManager),
		enginesync.WithSkipDryRunOnMissingResource(o.SkipDryRunOnMissingResource),
	}
}
