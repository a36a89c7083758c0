package main

import (
	"context"
	"time"
	_ "unsafe" // for the link

	"github.com/argoproj/argo-cd/v3/controller"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

//go:linkname canSyncAtTime github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1.(*SyncWindows).canSyncAtTime
func canSyncAtTime(windows *v1alpha1.SyncWindows, manual bool, at time.Time) (bool, error)

//go:linkname isObjRequiresDeletionConfirmation github.com/argoproj/argo-cd/v3/controller.isObjRequiresDeletionConfirmation
func isObjRequiresDeletionConfirmation(*unstructured.Unstructured, *v1alpha1.Application) bool

//go:linkname linkedDeletion github.com/argoproj/argo-cd/v3/controller.(*ApplicationController).finalizeApplicationDeletion
func linkedDeletion(*controller.ApplicationController, context.Context, *v1alpha1.Application, func(string) ([]*v1alpha1.Cluster, error)) error

func finalizeApplicationDeletion(ctrl *controller.ApplicationController, app *v1alpha1.Application) error {
	return linkedDeletion(ctrl, context.Background(), app, func(string) ([]*v1alpha1.Cluster, error) { return nil, nil })
}

//go:linkname processRequestedAppOperation github.com/argoproj/argo-cd/v3/controller.(*ApplicationController).processRequestedAppOperation
func processRequestedAppOperation(*controller.ApplicationController, *v1alpha1.Application)
