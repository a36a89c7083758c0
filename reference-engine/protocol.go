package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// protocolVersion is the version of the engine protocol that this program speaks.
const protocolVersion = "wavetank-engine/v1"

// incoming is a message of the runner; which fields are set depends on its type.
type incoming struct {
	Type       string     `json:"type"`
	Protocol   string     `json:"protocol"`
	Kubeconfig string     `json:"kubeconfig"`
	Number     uint64     `json:"n"`
	App        appInfo    `json:"app"`
	Revision   string     `json:"revision"`
	StartedAt  int64      `json:"startedAt"`
	Phase      string     `json:"phase"`
	Message    string     `json:"message"`
	Results    []result   `json:"results"`
	Options    options    `json:"options"`
	Targets    []object   `json:"targets"`
	Live       []liveItem `json:"live"`
	Kinds      []kindInfo `json:"kinds"`
	Denied     []denial   `json:"denied"`
}

type appInfo struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

type options struct {
	DryRun                      bool               `json:"dryRun"`
	Prune                       bool               `json:"prune"`
	PruneConfirmed              bool               `json:"pruneConfirmed"`
	PruneLast                   bool               `json:"pruneLast"`
	PrunePropagationPolicy      string             `json:"prunePropagationPolicy"`
	DefaultPrune                *string            `json:"defaultPrune"`
	Force                       bool               `json:"force"`
	SkipHooks                   bool               `json:"skipHooks"`
	Validate                    bool               `json:"validate"`
	Replace                     bool               `json:"replace"`
	ServerSideApply             bool               `json:"serverSideApply"`
	Manager                     string             `json:"manager"`
	Migrate                     bool               `json:"migrate"`
	MigrationManager            string             `json:"migrationManager"`
	SkipDryRunOnMissingResource bool               `json:"skipDryRunOnMissingResource"`
	ApplyOutOfSyncOnly          bool               `json:"applyOutOfSyncOnly"`
	CreateNamespace             bool               `json:"createNamespace"`
	ManagedNamespace            *namespaceMetadata `json:"managedNamespace"`
	Resources                   []selector         `json:"resources"`
}

type namespaceMetadata struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

type selector struct {
	Group     string `json:"group"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

type kindInfo struct {
	Group      string `json:"group"`
	Kind       string `json:"kind"`
	Namespaced bool   `json:"namespaced"`
}

// denial says that the project does not permit an object.
type denial struct {
	selector
	Message string `json:"message"`
}

// liveItem is an object of the view, with what the controller around the engine knows of it.
type liveItem struct {
	Object   object        `json:"object"`
	Foreign  bool          `json:"foreign"`
	Modified *bool         `json:"modified"`
	Health   *healthStatus `json:"health"`
}

type healthStatus struct {
	Status  string `json:"status"`
	Message string `json:"message"`
	// DeletionMessage is what a script says of the object's deletion.
	DeletionMessage string `json:"deletionMessage"`
	// Error says why the health cannot be told.
	Error string `json:"error"`
	// Override says that a script of the settings judges the kind, before the engine.
	Override bool `json:"override"`
}

// object is a Kubernetes object.
type object struct{ *unstructured.Unstructured }

func (o *object) UnmarshalJSON(text []byte) error {
	o.Unstructured = &unstructured.Unstructured{}
	// Unlike the plain decoder this one keeps whole numbers whole, as the engine expects them.
	return o.Unstructured.UnmarshalJSON(text)
}

// result is the stored result of one task.
type result struct {
	Group     string   `json:"group"`
	Kind      string   `json:"kind"`
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Version   string   `json:"version"`
	Images    []string `json:"images,omitempty"`
	Status    string   `json:"status"`
	Message   string   `json:"message"`
	HookType  string   `json:"hookType"`
	HookPhase string   `json:"hookPhase"`
	SyncPhase string   `json:"syncPhase"`
	Order     int      `json:"order"`
}

// outgoing is a message to the runner.
type outgoing struct {
	Type         string   `json:"type"`
	Number       uint64   `json:"n,omitempty"`
	Protocol     string   `json:"protocol,omitempty"`
	Engine       string   `json:"engine,omitempty"`
	Version      string   `json:"version,omitempty"`
	Capabilities []string `json:"capabilities,omitempty"`

	Action string    `json:"action,omitempty"`
	Object *selector `json:"object,omitempty"`
	Phase  string    `json:"phase,omitempty"`
	Wave   *int      `json:"wave,omitempty"`
	Hook   bool      `json:"hook,omitempty"`
	DryRun bool      `json:"dryRun,omitempty"`
	Final  bool      `json:"final,omitempty"`
	Millis int       `json:"ms,omitempty"`
	OK     *bool     `json:"ok,omitempty"`

	Message string   `json:"message,omitempty"`
	Results []result `json:"results,omitempty"`
}

// wire carries messages. Reports are answered: a report returns when the runner has taken it.
type wire struct {
	lock    sync.Mutex
	out     io.Writer
	next    uint64
	waiting map[uint64]chan error
	orders  chan *incoming
	closed  error
}

func newWire(in io.Reader, out io.Writer) *wire {
	w := &wire{out: out, waiting: map[uint64]chan error{}, orders: make(chan *incoming, 1)}
	go w.read(bufio.NewReaderSize(in, 1<<16))
	return w
}

func (w *wire) read(in *bufio.Reader) {
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			w.close(err)
			return
		}
		message := &incoming{}
		if err := json.Unmarshal(line, message); err != nil {
			w.close(fmt.Errorf("the runner's message cannot be read: %w", err))
			return
		}
		if message.Type != "ok" {
			w.orders <- message
			continue
		}
		w.lock.Lock()
		waiting := w.waiting[message.Number]
		delete(w.waiting, message.Number)
		w.lock.Unlock()
		if waiting == nil {
			continue
		}
		var failed error
		if message.Message != "" {
			failed = errors.New(message.Message)
		}
		waiting <- failed
	}
}

// close ends the wire: whoever waits is told why.
func (w *wire) close(err error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.closed = err
	for number, waiting := range w.waiting {
		waiting <- err
		delete(w.waiting, number)
	}
	close(w.orders)
}

// order is the next order of the runner; an error at the end of its messages.
func (w *wire) order() (*incoming, error) {
	if message, ok := <-w.orders; ok {
		return message, nil
	}
	w.lock.Lock()
	defer w.lock.Unlock()
	return nil, w.closed
}

// send writes a message and does not wait.
func (w *wire) send(message outgoing) error {
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	w.lock.Lock()
	defer w.lock.Unlock()
	_, err = w.out.Write(append(text, '\n'))
	return err
}

// report writes a message and waits until the runner has taken it.
func (w *wire) report(message outgoing) error {
	answer := make(chan error, 1)
	w.lock.Lock()
	if w.closed != nil {
		defer w.lock.Unlock()
		return w.closed
	}
	w.next++
	message.Number = w.next
	w.waiting[message.Number] = answer
	w.lock.Unlock()
	if err := w.send(message); err != nil {
		return err
	}
	return <-answer
}
