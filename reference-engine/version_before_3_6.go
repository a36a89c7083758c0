//go:build before_3_6

package main

// What only Argo CD before 3.6 has: calls without a context.

import (
	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/health"
	enginesync "github.com/argoproj/argo-cd/gitops-engine/v3/pkg/sync"
)

// step makes one step of the operation, or ends it.
func step(engine enginesync.SyncContext, terminate bool) {
	if terminate {
		engine.Terminate()
	} else {
		engine.Sync()
	}
}

// engines is the health as the engine has it.
func (h *healthStatus) engines() *health.HealthStatus {
	return &health.HealthStatus{Status: health.HealthStatusCode(h.Status), Message: h.Message}
}
