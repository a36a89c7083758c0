// Command diff asks Argo CD's comparison: of each line on standard input, a JSON object with a `target`, a `live` object and
// what is `ignored`, it says on a line of its own whether they differ (`modified`), or what it cannot compare (`error`). With
// what the server `predicted`, the answer to a dry run, it is the comparison by the server. Its argument is the OpenAPI
// document (version 2) of the cluster.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	argodiff "github.com/argoproj/argo-cd/v3/util/argo/diff"
	"github.com/argoproj/argo-cd/v3/util/argo/normalizers"
	openapi "github.com/google/gnostic-models/openapiv2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/kube-openapi/pkg/util/proto"
)

type question struct {
	Target  map[string]any                       `json:"target"`
	Live    map[string]any                       `json:"live"`
	Ignored []v1alpha1.ResourceIgnoreDifferences `json:"ignored"`
	// What a dry run answered; empty for the comparison on the client's side.
	Predicted json.RawMessage `json:"predicted"`
}

// Run gives the answer that is known already.
func (asked question) Run(context.Context, *unstructured.Unstructured, string) (string, error) {
	return string(asked.Predicted), nil
}

type answer struct {
	Modified  bool            `json:"modified"`
	Error     string          `json:"error,omitempty"`
	Live      json.RawMessage `json:"live,omitempty"`
	Predicted json.RawMessage `json:"predicted,omitempty"`
}

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: diff OPENAPI.json")
	}
	types, err := readTypes(os.Args[1])
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<28)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			return err
		}
		if err := out.Encode(compare(asked, types)); err != nil {
			return err
		}
	}
	return lines.Err()
}

func readTypes(file string) (*managedfields.GvkParser, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	document, err := openapi.ParseDocument(text)
	if err != nil {
		return nil, err
	}
	models, err := proto.NewOpenAPIData(document)
	if err != nil {
		return nil, err
	}
	return managedfields.NewGVKParser(models, false)
}

// compare says what Argo CD does of one pair, with the settings of a fresh installation. It panics on some objects that no
// server would take: that is an answer, too.
func compare(asked question, types *managedfields.GvkParser) (out answer) {
	defer func() {
		if trouble := recover(); trouble != nil {
			out = answer{Error: fmt.Sprint("panic: ", trouble)}
		}
	}()
	ignored := asked.Ignored
	if ignored == nil {
		ignored = []v1alpha1.ResourceIgnoreDifferences{}
	}
	status := v1alpha1.OverrideIgnoreDiff{JSONPointers: []string{"/status"}}
	builder := argodiff.NewDiffConfigBuilder().
		WithDiffSettings(ignored, map[string]v1alpha1.ResourceOverride{"*/*": {IgnoreDifferences: status}}, false, normalizers.IgnoreNormalizerOpts{}).
		WithTracking("app.kubernetes.io/instance", string(v1alpha1.TrackingMethodAnnotation)).
		WithNoCache().
		WithGVKParser(types)
	if asked.Predicted != nil {
		builder.WithServerSideDiff(true).WithServerSideDryRunner(asked).WithIgnoreMutationWebhook(true).WithManager("argocd-controller")
	}
	config, err := builder.Build()
	if err != nil {
		return answer{Error: err.Error()}
	}
	live, target := &unstructured.Unstructured{Object: asked.Live}, &unstructured.Unstructured{Object: asked.Target}
	result, err := argodiff.StateDiff(context.Background(), live, target, config)
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Modified: result.Modified, Live: result.NormalizedLive, Predicted: result.PredictedLive}
}
