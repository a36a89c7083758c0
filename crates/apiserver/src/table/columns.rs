//! The columns of built-in kinds, in the order of a real server (API-217); wide ones are shown with `-o wide` only.

use super::Column;

const fn text(name: &'static str) -> Column {
    Column::new(name, "string", "", 0)
}

const fn wide(name: &'static str) -> Column {
    Column::new(name, "string", "", 1)
}

const fn integer(name: &'static str) -> Column {
    Column::new(name, "integer", "", 0)
}

const fn boolean(name: &'static str) -> Column {
    Column::new(name, "boolean", "", 0)
}

const NAME: Column = Column::new("Name", "string", "name", 0);
const CREATED: Column = Column::new("Created At", "date", "", 0);

/// Kinds without columns of their own.
pub(super) static PLAIN: &[Column] = &[NAME, CREATED];

static POD: &[Column] = &[
    NAME,
    text("Ready"),
    text("Status"),
    text("Restarts"),
    text("Age"),
    wide("IP"),
    wide("Node"),
    wide("Nominated Node"),
    wide("Readiness Gates"),
];

static DEPLOYMENT: &[Column] = &[
    NAME,
    text("Ready"),
    text("Up-to-date"),
    text("Available"),
    text("Age"),
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];

static REPLICA_SET: &[Column] = &[
    NAME,
    integer("Desired"),
    integer("Current"),
    integer("Ready"),
    text("Age"),
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];

static STATEFUL_SET: &[Column] = &[
    NAME,
    text("Ready"),
    text("Age"),
    wide("Containers"),
    wide("Images"),
];

static DAEMON_SET: &[Column] = &[
    NAME,
    integer("Desired"),
    integer("Current"),
    integer("Ready"),
    integer("Up-to-date"),
    integer("Available"),
    text("Node Selector"),
    text("Age"),
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];

static CONTROLLER_REVISION: &[Column] = &[NAME, text("Controller"), text("Revision"), text("Age")];

static JOB: &[Column] = &[
    NAME,
    text("Status"),
    text("Completions"),
    text("Duration"),
    text("Age"),
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];

static CRON_JOB: &[Column] = &[
    NAME,
    text("Schedule"),
    text("Timezone"),
    boolean("Suspend"),
    integer("Active"),
    text("Last Schedule"),
    text("Age"),
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];

static SERVICE: &[Column] = &[
    NAME,
    text("Type"),
    text("Cluster-IP"),
    text("External-IP"),
    text("Port(s)"),
    text("Age"),
    wide("Selector"),
];

static INGRESS: &[Column] = &[
    NAME,
    text("Class"),
    text("Hosts"),
    text("Address"),
    text("Ports"),
    text("Age"),
];

static INGRESS_CLASS: &[Column] = &[NAME, text("Controller"), text("Parameters"), text("Age")];

static NETWORK_POLICY: &[Column] = &[NAME, text("Pod-Selector"), text("Age")];

static CONFIG_MAP: &[Column] = &[NAME, text("Data"), text("Age")];

static SECRET: &[Column] = &[NAME, text("Type"), text("Data"), text("Age")];

static SERVICE_ACCOUNT: &[Column] = &[NAME, text("Age")];

static NAMESPACE: &[Column] = &[NAME, text("Status"), text("Age")];

static PERSISTENT_VOLUME: &[Column] = &[
    NAME,
    text("Capacity"),
    text("Access Modes"),
    text("Reclaim Policy"),
    text("Status"),
    text("Claim"),
    text("StorageClass"),
    text("VolumeAttributesClass"),
    text("Reason"),
    text("Age"),
    wide("VolumeMode"),
];

static PERSISTENT_VOLUME_CLAIM: &[Column] = &[
    NAME,
    text("Status"),
    text("Volume"),
    text("Capacity"),
    text("Access Modes"),
    text("StorageClass"),
    text("VolumeAttributesClass"),
    text("Age"),
    wide("VolumeMode"),
];

static HORIZONTAL_POD_AUTOSCALER: &[Column] = &[
    NAME,
    text("Reference"),
    text("Targets"),
    text("MinPods"),
    text("MaxPods"),
    text("Replicas"),
    text("Age"),
];

static POD_DISRUPTION_BUDGET: &[Column] = &[
    NAME,
    text("Min Available"),
    text("Max Unavailable"),
    integer("Allowed Disruptions"),
    text("Age"),
];

static ROLE_BINDING: &[Column] = &[
    NAME,
    text("Role"),
    text("Age"),
    wide("Users"),
    wide("Groups"),
    wide("ServiceAccounts"),
];

static STORAGE_CLASS: &[Column] = &[
    NAME,
    text("Provisioner"),
    text("ReclaimPolicy"),
    text("VolumeBindingMode"),
    text("AllowVolumeExpansion"),
    text("Age"),
];

static PRIORITY_CLASS: &[Column] = &[
    NAME,
    integer("Value"),
    boolean("Global-Default"),
    text("Age"),
    text("PreemptionPolicy"),
];

static NODE: &[Column] = &[
    NAME,
    text("Status"),
    text("Roles"),
    text("Age"),
    text("Version"),
    wide("Internal-IP"),
    wide("External-IP"),
    wide("OS-Image"),
    wide("Kernel-Version"),
    wide("Container-Runtime"),
];

static EVENT: &[Column] = &[
    text("Last Seen"),
    text("Type"),
    text("Reason"),
    text("Object"),
    wide("Subobject"),
    wide("Source"),
    text("Message"),
    wide("First Seen"),
    wide("Count"),
    Column::new("Name", "string", "name", 1),
];

static VOLUME_ATTACHMENT: &[Column] = &[
    NAME,
    Column::new("Attacher", "string", "name", 0),
    text("PV"),
    text("Node"),
    boolean("Attached"),
    text("Age"),
];

static ADMISSION_POLICY: &[Column] =
    &[NAME, integer("Validations"), text("ParamKind"), text("Age")];

static ADMISSION_BINDING: &[Column] = &[NAME, text("PolicyName"), text("ParamRef"), text("Age")];

static LEASE: &[Column] = &[NAME, text("Holder"), text("Age")];

static ENDPOINT_SLICE: &[Column] = &[
    NAME,
    text("AddressType"),
    text("Ports"),
    text("Endpoints"),
    text("Age"),
];

static ENDPOINTS: &[Column] = &[NAME, text("Endpoints"), text("Age")];

static RESOURCE_QUOTA: &[Column] = &[NAME, text("Request"), text("Limit"), text("Age")];

static POD_TEMPLATE: &[Column] = &[NAME, text("Containers"), text("Images"), text("Pod Labels")];

static MUTATING_WEBHOOK_CONFIGURATION: &[Column] = &[NAME, integer("Webhooks"), text("Age")];

static RUNTIME_CLASS: &[Column] = &[NAME, text("Handler"), text("Age")];

static CSIDRIVER: &[Column] = &[
    NAME,
    boolean("AttachRequired"),
    boolean("PodInfoOnMount"),
    boolean("StorageCapacity"),
    text("TokenRequests"),
    boolean("RequiresRepublish"),
    text("Modes"),
    text("Age"),
];

static CSINODE: &[Column] = &[NAME, integer("Drivers"), text("Age")];

static APISERVICE: &[Column] = &[NAME, text("Service"), text("Available"), text("Age")];

/// The columns of a built-in kind with columns of its own.
pub(super) fn of(group: &str, kind: &str) -> Option<&'static [Column]> {
    Some(match (group, kind) {
        ("", "Pod") => POD,
        ("apps", "Deployment") => DEPLOYMENT,
        ("apps", "ReplicaSet") | ("", "ReplicationController") => REPLICA_SET,
        ("apps", "StatefulSet") => STATEFUL_SET,
        ("apps", "DaemonSet") => DAEMON_SET,
        ("apps", "ControllerRevision") => CONTROLLER_REVISION,
        ("batch", "Job") => JOB,
        ("batch", "CronJob") => CRON_JOB,
        ("", "Service") => SERVICE,
        ("networking.k8s.io", "Ingress") => INGRESS,
        ("networking.k8s.io", "IngressClass") => INGRESS_CLASS,
        ("networking.k8s.io", "NetworkPolicy") => NETWORK_POLICY,
        ("", "ConfigMap") => CONFIG_MAP,
        ("", "Secret") => SECRET,
        ("", "ServiceAccount") => SERVICE_ACCOUNT,
        ("", "Namespace") => NAMESPACE,
        ("", "PersistentVolume") => PERSISTENT_VOLUME,
        ("", "PersistentVolumeClaim") => PERSISTENT_VOLUME_CLAIM,
        ("autoscaling", "HorizontalPodAutoscaler") => HORIZONTAL_POD_AUTOSCALER,
        ("policy", "PodDisruptionBudget") => POD_DISRUPTION_BUDGET,
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => ROLE_BINDING,
        ("storage.k8s.io", "StorageClass") => STORAGE_CLASS,
        ("scheduling.k8s.io", "PriorityClass") => PRIORITY_CLASS,
        ("", "Node") => NODE,
        ("" | "events.k8s.io", "Event") => EVENT,
        ("coordination.k8s.io", "Lease") => LEASE,
        ("storage.k8s.io", "VolumeAttachment") => VOLUME_ATTACHMENT,
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => ADMISSION_POLICY,
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => ADMISSION_BINDING,
        ("discovery.k8s.io", "EndpointSlice") => ENDPOINT_SLICE,
        ("", "Endpoints") => ENDPOINTS,
        ("", "ResourceQuota") => RESOURCE_QUOTA,
        ("", "PodTemplate") => POD_TEMPLATE,
        (
            "admissionregistration.k8s.io",
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration",
        ) => MUTATING_WEBHOOK_CONFIGURATION,
        ("node.k8s.io", "RuntimeClass") => RUNTIME_CLASS,
        ("storage.k8s.io", "CSIDriver") => CSIDRIVER,
        ("storage.k8s.io", "CSINode") => CSINODE,
        ("apiregistration.k8s.io", "APIService") => APISERVICE,
        _ => return None,
    })
}
