// Command argo asks Argo CD's own code: of each line on standard input, a JSON object with a `target`, a `live` object and
// what is `ignored`, it says on a line of its own what its `way` asks for, or what Argo CD cannot do with it (`error`).
// `compared`, `byServer` and `merged` (of objects that are applied from the server) ask whether the two differ (`modified`);
// for `byServer` a line says what it wants to know the answer to a dry run of (`dryRun`), and takes that answer from standard
// input. `respected` asks for the object that is sent instead (`sent`) where the sync respects ignored differences, `assessed`
// for the health of the live object (`health`, null where nobody assesses its kind), `permitted` whether sync `windows` let a
// sync run at a time (`permitted`), perhaps a `manual` one, `overrun` whether they let one go on now that `started`, `inProject`
// whether the spec of a `project` permits the live object. `decided` asks what auto-sync does with an `app` that compares as `sync`
// and `resources` say (`decision`), `appHealth` for the health of an app with these `pairs` (`app`), `deleted` what one pass
// of its deletion does (`passed`), where nobody knows the kinds that are `unknown`, `refreshed` what a comparison of an app
// with these `pairs` finds (`found`), `operated` what a look at the operation of an `app` leaves (`standing`), where a sync
// ends after `timeout` seconds and the step that is perhaps made with this `outcome`, `retried` for the seconds
// before a `retry` when `count` are past (`wait`). Its argument is the OpenAPI document (version 2) of the cluster, which only
// comparisons and `respected` need.
package main

import (
	"bufio"
	"context"
	encoding "encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/health"
	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/sync"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	argodiff "github.com/argoproj/argo-cd/v3/util/argo/diff"
	"github.com/argoproj/argo-cd/v3/util/argo/normalizers"
	"github.com/argoproj/argo-cd/v3/util/lua"
	openapiv2 "github.com/google/gnostic-models/openapiv2"
	"github.com/sirupsen/logrus"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/kube-openapi/pkg/util/proto"
	"k8s.io/kubectl/pkg/util/openapi"
)

type question struct {
	Target  map[string]any                       `json:"target"`
	Live    map[string]any                       `json:"live"`
	Ignored []v1alpha1.ResourceIgnoreDifferences `json:"ignored"`
	Way     string                               `json:"way"`
	Windows v1alpha1.SyncWindows                 `json:"windows"`
	Project v1alpha1.AppProjectSpec              `json:"project"`
	Manual  bool                                 `json:"manual"`
	At      time.Time                            `json:"at"`

	Started   *time.Time                `json:"started"`
	App       v1alpha1.Application      `json:"app"`
	Sync      v1alpha1.SyncStatus       `json:"sync"`
	Resources []v1alpha1.ResourceStatus `json:"resources"`
	Pairs     []pair                    `json:"pairs"`
	Retry     v1alpha1.RetryStrategy    `json:"retry"`
	Count     int64                     `json:"count"`
	Unknown   []string                  `json:"unknown"`
	Timeout   time.Duration             `json:"timeout"`
	Outcome   outcome                   `json:"outcome"`
}

// wire is who asks, and who is asked about dry runs.
type wire struct {
	lines *bufio.Scanner
	out   *encoding.Encoder
}

// Run asks for a dry run.
func (asker *wire) Run(_ context.Context, object *unstructured.Unstructured, _ string) (string, error) {
	if err := asker.out.Encode(map[string]any{"dryRun": object.Object}); err != nil {
		return "", err
	}
	if !asker.lines.Scan() {
		return "", fmt.Errorf("no answer to a dry run: %w", asker.lines.Err())
	}
	predicted := &unstructured.Unstructured{}
	if err := predicted.UnmarshalJSON(asker.lines.Bytes()); err != nil {
		return "", err
	}
	if predicted.GetKind() == "Status" {
		return "", fmt.Errorf("%v", predicted.Object["message"])
	}
	return asker.lines.Text(), nil
}

type answer struct {
	Modified  bool                 `json:"modified"`
	Error     string               `json:"error,omitempty"`
	Live      encoding.RawMessage  `json:"live,omitempty"`
	Predicted encoding.RawMessage  `json:"predicted,omitempty"`
	Sent      map[string]any       `json:"sent,omitempty"`
	Permitted bool                 `json:"permitted"`
	Health    *health.HealthStatus `json:"health"`
	Decision  *decision            `json:"decision,omitempty"`
	App       *appStatus           `json:"app,omitempty"`
	Wait      float64              `json:"wait"`
	Passed    *passed              `json:"passed,omitempty"`
	Found     *found               `json:"found,omitempty"`
	Standing  *standing            `json:"standing,omitempty"`
}

// types are those of the cluster, as the comparison and the sync read them.
type types struct {
	managed   *managedfields.GvkParser
	resources openapi.Resources
}

// comparison has the fields of the controller's result of a comparison, as far as the sync reads them for what it respects.
type comparison struct {
	status   *v1alpha1.SyncStatus
	health   healthFields
	reported []v1alpha1.ResourceStatus
	managed  []struct{}
	pairs    sync.ReconciliationResult
	config   argodiff.DiffConfig
}

func main() {
	// The controller tells of each decision.
	logrus.SetLevel(logrus.PanicLevel)
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	known := &types{}
	if len(os.Args) > 1 {
		var err error
		if known, err = readTypes(os.Args[1]); err != nil {
			return err
		}
	}
	asker := &wire{bufio.NewScanner(os.Stdin), encoding.NewEncoder(os.Stdout)}
	asker.lines.Buffer(nil, 1<<28)
	for asker.lines.Scan() {
		var asked question
		// Whole numbers are so in the objects, as the controller has them.
		if err := json.Unmarshal(asker.lines.Bytes(), &asked); err != nil {
			return err
		}
		if err := asker.out.Encode(compare(asked, known, asker)); err != nil {
			return err
		}
	}
	return asker.lines.Err()
}

func readTypes(file string) (*types, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	document, err := openapiv2.ParseDocument(text)
	if err != nil {
		return nil, err
	}
	models, err := proto.NewOpenAPIData(document)
	if err != nil {
		return nil, err
	}
	managed, err := managedfields.NewGVKParser(models, false)
	if err != nil {
		return nil, err
	}
	resources, err := openapi.NewOpenAPIData(document)
	if err != nil {
		return nil, err
	}
	return &types{managed, resources}, nil
}

// compare says what Argo CD does of one pair, with the settings of a fresh installation. It panics on some objects that no
// server would take: that is an answer, too.
func compare(asked question, known *types, asker *wire) (out answer) {
	defer func() {
		if trouble := recover(); trouble != nil {
			out = answer{Error: fmt.Sprint("panic: ", trouble)}
		}
	}()
	switch asked.Way {
	case "permitted":
		return permitted(canSyncAtTime(&asked.Windows, asked.Manual, asked.At))
	case "overrun":
		return permitted(asked.Windows.CanSync(asked.Manual, asked.Started))
	case "inProject":
		project, cluster := v1alpha1.AppProject{Spec: asked.Project}, &v1alpha1.Cluster{Server: v1alpha1.KubernetesInternalAPIServerAddr, Name: "in-cluster"}
		return permitted(project.IsLiveResourcePermitted(&unstructured.Unstructured{Object: asked.Live}, cluster, nil))
	case "assessed":
		return assessed(&unstructured.Unstructured{Object: asked.Live})
	case "decided":
		return decided(asked)
	case "appHealth":
		return appHealth(asked)
	case "refreshed":
		return compared(asked)
	case "deleted":
		return deleted(asked)
	case "operated":
		return operated(asked)
	case "retried":
		at, err := asked.Retry.NextRetryAt(asked.At, asked.Count)
		if err != nil {
			return answer{Error: err.Error()}
		}
		return answer{Wait: at.Sub(asked.At).Seconds()}
	}
	ignored := asked.Ignored
	if ignored == nil {
		ignored = []v1alpha1.ResourceIgnoreDifferences{}
	}
	status := v1alpha1.OverrideIgnoreDiff{JSONPointers: []string{"/status"}}
	builder := argodiff.NewDiffConfigBuilder().
		WithDiffSettings(ignored, map[string]v1alpha1.ResourceOverride{"*/*": {IgnoreDifferences: status}}, false, normalizers.IgnoreNormalizerOpts{}).
		WithTracking("app.kubernetes.io/instance", string(v1alpha1.TrackingMethodAnnotation)).
		WithNoCache().
		WithGVKParser(known.managed)
	switch asked.Way {
	case "byServer":
		builder.WithServerSideDiff(true).WithServerSideDryRunner(asker).WithIgnoreMutationWebhook(true).WithManager("argocd-controller")
	case "merged":
		mergeAsTheServer(builder.WithManager("argocd-controller"))
	}
	config, err := builder.Build()
	if err != nil {
		return answer{Error: err.Error()}
	}
	live, target := &unstructured.Unstructured{Object: asked.Live}, &unstructured.Unstructured{Object: asked.Target}
	if asked.Way == "respected" {
		return respected(target, live, config, known)
	}
	result, err := stateDiff(live, target, config)
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Modified: result.Modified, Live: result.NormalizedLive, Predicted: result.PredictedLive}
}

func permitted(permitted bool, err error) answer {
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Permitted: permitted}
}

// respected is what a sync sends of the desired object, so that what is ignored keeps its live value.
func respected(target, live *unstructured.Unstructured, config argodiff.DiffConfig, known *types) answer {
	compared := comparison{config: config}
	compared.pairs.Target, compared.pairs.Live = []*unstructured.Unstructured{target}, []*unstructured.Unstructured{live}
	sent, err := normalizeTargetResources(&compared, known)
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Sent: sent[0].Object}
}

// assessed is the health of an object, by the checks that are shipped.
func assessed(live *unstructured.Unstructured) answer {
	status, err := health.GetResourceHealth(live, lua.ResourceHealthOverrides{})
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Health: status}
}
