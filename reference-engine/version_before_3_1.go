//go:build before_3_1

package main

// What Argo CD 3.1 and newer have, and this has not.

import (
	enginesync "github.com/argoproj/argo-cd/gitops-engine/v3/pkg/sync"
	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/sync/common"
)

// versionOptions are the options that not every version has.
func versionOptions(options) []enginesync.SyncOpt { return nil }

func setImages(*common.ResourceSyncResult, []string) {}

func images(common.ResourceSyncResult) []string { return nil }
