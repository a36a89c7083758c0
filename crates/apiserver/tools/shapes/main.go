// Prints how the Go types of built-in kinds are written as JSON: which fields disappear when they are zero, which are
// always there, where quantities and times stand. Run by hand when the Kubernetes version changes:
//
//	go mod tidy && go run . > ../../src/kinds/shapes.txt
//
// One line per type: its name, then field:code pairs. Codes (a leading ! means always written, even when zero):
// s string, b boolean, n number, v anything, q quantity, t time, m time with microseconds, i int-or-string, [x list of x, {x map of x,
// *x pointer to x, =T structure, ~T structure that disappears when zero. Kinds come first, as group/version/Kind=Type.
package main

import (
	"fmt"
	"reflect"
	"sort"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

var roots = map[string]any{
	"/v1/Pod": corev1.Pod{}, "/v1/Service": corev1.Service{}, "/v1/Namespace": corev1.Namespace{},
	"/v1/ConfigMap": corev1.ConfigMap{}, "/v1/Secret": corev1.Secret{}, "/v1/ServiceAccount": corev1.ServiceAccount{},
	"/v1/PersistentVolumeClaim": corev1.PersistentVolumeClaim{}, "/v1/PersistentVolume": corev1.PersistentVolume{},
	"/v1/ReplicationController": corev1.ReplicationController{}, "/v1/PodTemplate": corev1.PodTemplate{},
	"/v1/Node": corev1.Node{}, "/v1/Endpoints": corev1.Endpoints{}, "/v1/LimitRange": corev1.LimitRange{},
	"/v1/ResourceQuota": corev1.ResourceQuota{}, "/v1/Event": corev1.Event{},
	"events.k8s.io/v1/Event": eventsv1.Event{},
	"apps/v1/Deployment": appsv1.Deployment{}, "apps/v1/ReplicaSet": appsv1.ReplicaSet{},
	"apps/v1/StatefulSet": appsv1.StatefulSet{}, "apps/v1/DaemonSet": appsv1.DaemonSet{},
	"apps/v1/ControllerRevision": appsv1.ControllerRevision{},
	"batch/v1/Job": batchv1.Job{}, "batch/v1/CronJob": batchv1.CronJob{},
	"networking.k8s.io/v1/Ingress": networkingv1.Ingress{}, "networking.k8s.io/v1/IngressClass": networkingv1.IngressClass{},
	"networking.k8s.io/v1/NetworkPolicy":       networkingv1.NetworkPolicy{},
	"policy/v1/PodDisruptionBudget":            policyv1.PodDisruptionBudget{},
	"autoscaling/v1/HorizontalPodAutoscaler":   autoscalingv1.HorizontalPodAutoscaler{},
	"autoscaling/v2/HorizontalPodAutoscaler":   autoscalingv2.HorizontalPodAutoscaler{},
	"rbac.authorization.k8s.io/v1/Role":        rbacv1.Role{},
	"rbac.authorization.k8s.io/v1/ClusterRole": rbacv1.ClusterRole{},
	"rbac.authorization.k8s.io/v1/RoleBinding": rbacv1.RoleBinding{},
	"rbac.authorization.k8s.io/v1/ClusterRoleBinding": rbacv1.ClusterRoleBinding{},
	"storage.k8s.io/v1/StorageClass":                  storagev1.StorageClass{},
	"storage.k8s.io/v1/CSIDriver":                     storagev1.CSIDriver{}, "storage.k8s.io/v1/CSINode": storagev1.CSINode{},
	"storage.k8s.io/v1/VolumeAttachment":                              storagev1.VolumeAttachment{},
	"scheduling.k8s.io/v1/PriorityClass":                              schedulingv1.PriorityClass{},
	"node.k8s.io/v1/RuntimeClass":                                     nodev1.RuntimeClass{},
	"admissionregistration.k8s.io/v1/MutatingWebhookConfiguration":    admissionregistrationv1.MutatingWebhookConfiguration{},
	"admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration":  admissionregistrationv1.ValidatingWebhookConfiguration{},
	"admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy":       admissionregistrationv1.ValidatingAdmissionPolicy{},
	"admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding": admissionregistrationv1.ValidatingAdmissionPolicyBinding{},
	"apiextensions.k8s.io/v1/CustomResourceDefinition":                apiextensionsv1.CustomResourceDefinition{},
	"apiregistration.k8s.io/v1/APIService":                            apiregistrationv1.APIService{},
	"coordination.k8s.io/v1/Lease":                                    coordinationv1.Lease{},
	"discovery.k8s.io/v1/EndpointSlice":                               discoveryv1.EndpointSlice{},
	"certificates.k8s.io/v1/CertificateSigningRequest":                certificatesv1.CertificateSigningRequest{},
}

var names = map[reflect.Type]string{}
var taken = map[string]bool{}
var lines = map[string]string{}

func nameOf(t reflect.Type) string {
	if name, ok := names[t]; ok {
		return name
	}
	name := t.Name()
	for i := 2; taken[name]; i++ {
		name = fmt.Sprintf("%s%d", t.Name(), i)
	}
	taken[name] = true
	names[t] = name
	describe(t, name)
	return name
}

func describe(t reflect.Type, name string) {
	var out []string
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		for i := 0; i < t.NumField(); i++ {
			field := t.Field(i)
			tag := strings.Split(field.Tag.Get("json"), ",")
			inline := len(tag) > 1 && tag[1] == "inline" || field.Anonymous && tag[0] == ""
			if inline {
				embedded := field.Type
				if embedded.Kind() == reflect.Pointer {
					embedded = embedded.Elem()
				}
				if embedded.Name() != "TypeMeta" {
					walk(embedded)
				}
				continue
			}
			if tag[0] == "" || tag[0] == "-" {
				continue
			}
			omitEmpty, omitZero := false, false
			for _, option := range tag[1:] {
				omitEmpty = omitEmpty || option == "omitempty"
				omitZero = omitZero || option == "omitzero"
			}
			c := code(field.Type)
			switch c[0] {
			case '=':
				if omitZero {
					c = "~" + c[1:]
				}
			case 'q', 'i', 't', 'm':
				// Structures: omitempty means nothing for them.
				if !omitZero {
					c = "!" + c
				}
			default:
				if !omitEmpty && !omitZero {
					c = "!" + c
				}
			}
			out = append(out, tag[0]+":"+c)
		}
	}
	walk(t)
	sort.Strings(out)
	lines[name] = strings.Join(out, " ")
}

func code(t reflect.Type) string {
	switch t.String() {
	case "resource.Quantity":
		return "q"
	case "v1.Time":
		return "t"
	case "v1.MicroTime":
		return "m"
	case "intstr.IntOrString":
		return "i"
	case "runtime.RawExtension", "v1.FieldsV1", "v1.JSONSchemaProps", "v1.JSON", "v1.Duration":
		return "v"
	}
	switch t.Kind() {
	case reflect.String:
		return "s"
	case reflect.Bool:
		return "b"
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint8, reflect.Float64:
		return "n"
	case reflect.Pointer:
		return "*" + code(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "s"
		}
		return "[" + code(t.Elem())
	case reflect.Map:
		return "{" + code(t.Elem())
	case reflect.Struct:
		return "=" + nameOf(t)
	}
	return "v"
}

func main() {
	var keys []string
	for key := range roots {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		fmt.Printf("%s=%s\n", key, nameOf(reflect.TypeOf(roots[key])))
	}
	var all []string
	for name := range lines {
		all = append(all, name)
	}
	sort.Strings(all)
	for _, name := range all {
		fmt.Printf("%s %s\n", name, lines[name])
	}
}
