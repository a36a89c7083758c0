// Command reference-engine runs Argo CD's own sync engine, pass by pass, under the engine protocol of wavetank: JSON
// Lines on standard input and output, API calls to the cluster of the kubeconfig that the first message names.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/utils/kube"
	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/utils/tracing"
	"github.com/go-logr/logr"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// engineVersion names the engine; set when the program is built.
var engineVersion = "development"

func main() {
	// Clients name themselves after the program, and field managers after the client: the one of Argo CD's controller.
	os.Args[0] = "argocd-application-controller"
	if err := serve(newWire(os.Stdin, os.Stdout)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(w *wire) error {
	hello := outgoing{
		Type: "hello", Protocol: protocolVersion, Engine: "argocd", Version: engineVersion,
		Capabilities: []string{"terminate", "waves", "runs"},
	}
	if err := w.send(hello); err != nil {
		return err
	}
	var current *cluster
	for {
		order, err := w.order()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch order.Type {
		case "start":
			if current, err = newCluster(order); err != nil {
				return err
			}
		case "pass", "terminate":
			if current == nil {
				return fmt.Errorf("the first message must be `start`, this is %q", order.Type)
			}
			current.warmDiscovery()
			done, err := runPass(order, w, current)
			if err != nil {
				return err
			}
			if err := w.send(done); err != nil {
				return err
			}
		default:
			return fmt.Errorf("the runner's message %q is not known", order.Type)
		}
	}
}

// cluster is what the program knows of the cluster of one run.
type cluster struct {
	kubeconfig string
	config     *rest.Config
	command    *kube.KubectlCmd
	warm       bool
}

// newCluster begins a run: whatever was learned of the cluster of the run before is forgotten.
func newCluster(start *incoming) (*cluster, error) {
	if start.Protocol != protocolVersion {
		return nil, fmt.Errorf("the runner speaks %q, this program %s", start.Protocol, protocolVersion)
	}
	if cache := os.Getenv("KUBECACHEDIR"); cache != "" {
		if err := os.RemoveAll(cache); err != nil {
			return nil, fmt.Errorf("the cache of the run before cannot be removed: %w", err)
		}
	}
	config, err := restConfig(start.Kubeconfig)
	if err != nil {
		return nil, err
	}
	command := &kube.KubectlCmd{Log: logr.Discard(), Tracer: tracing.NopTracer{}}
	return &cluster{kubeconfig: start.Kubeconfig, config: config, command: command}, nil
}

// restConfig reads the kubeconfig. Everything is JSON, and nothing waits for a client's own rate limit: time stands
// still while the engine works.
func restConfig(path string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig cannot be used: %w", err)
	}
	config.ContentType = "application/json"
	config.AcceptContentTypes = "application/json"
	config.QPS = -1
	config.Burst = 1000
	return config, nil
}

// warmDiscovery fills kubectl's discovery cache, as it is in a controller that has been running for a while. What a
// process has cached itself it takes for current: with a cold cache kubectl would not look again for kinds that a
// custom resource definition of the same pass brings.
func (c *cluster) warmDiscovery() {
	if c.warm {
		return
	}
	c.warm = true
	flags := genericclioptions.NewConfigFlags(true).WithDiscoveryBurst(c.config.Burst).WithDiscoveryQPS(c.config.QPS)
	flags.KubeConfig = &c.kubeconfig
	client, err := flags.ToDiscoveryClient()
	if err == nil {
		_, _, err = client.ServerGroupsAndResources()
	}
	if err != nil {
		// The engine will meet the same failure, and say so in its results.
		fmt.Fprintln(os.Stderr, "discovery:", err)
	}
}
