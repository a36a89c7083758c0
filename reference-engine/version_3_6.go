//go:build !before_3_6

package main

// What only Argo CD 3.6 and newer have: calls under a context, and what scripts say of a deletion.

import (
	"context"

	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/health"
	enginesync "github.com/argoproj/argo-cd/gitops-engine/v3/pkg/sync"
)

// step makes one step of the operation, or ends it.
func step(engine enginesync.SyncContext, terminate bool) {
	if terminate {
		engine.Terminate(context.Background())
	} else {
		engine.Sync(context.Background())
	}
}

// engines is the health as the engine has it.
func (h *healthStatus) engines() *health.HealthStatus {
	return &health.HealthStatus{
		Status: health.HealthStatusCode(h.Status), Message: h.Message, DeletionMessage: h.DeletionMessage,
	}
}
