//go:build !before_3_1

package main

// What Argo CD 3.1 and newer have: images of results.

import "github.com/argoproj/argo-cd/gitops-engine/v3/pkg/sync/common"

func setImages(to *common.ResourceSyncResult, images []string) { to.Images = images }

func images(of common.ResourceSyncResult) []string { return of.Images }
