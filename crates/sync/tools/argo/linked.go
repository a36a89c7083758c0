package main

import (
	"time"
	_ "unsafe" // for the link

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
)

//go:linkname canSyncAtTime github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1.(*SyncWindows).canSyncAtTime
func canSyncAtTime(windows *v1alpha1.SyncWindows, manual bool, at time.Time) (bool, error)
