//! The server as controllers inside the world see it.

use std::sync::Arc;

use wavetank_json::{Value, json};
use wavetank_kernel::SimTime;
use wavetank_model::{
    Api, DeleteOptions, GroupKind, GroupVersionKind, ObjectKey, PatchType, Status, object,
};

use crate::create::Call;
use crate::failure;
use crate::registry::Resource;
use crate::server::Server;

/// A server at one point in time; every call goes the way of a request, without HTTP.
#[derive(Debug)]
pub struct ServerApi<'a> {
    server: &'a mut Server,
    now: SimTime,
}

impl<'a> ServerApi<'a> {
    /// The server as it is called at `now`.
    pub fn new(server: &'a mut Server, now: SimTime) -> Self {
        Self { server, now }
    }

    fn resource(&self, group: &str, kind: &str) -> Result<Arc<Resource>, Status> {
        self.server
            .registry
            .by_kind(group, kind)
            .cloned()
            .ok_or_else(failure::no_route)
    }

    fn call(
        &self,
        manager: &str,
        resource: &Arc<Resource>,
        namespace: &str,
        name: &str,
        subresource: &str,
    ) -> Call {
        let mut call = Call::inside(resource, manager, manager, namespace, name, self.now);
        subresource.clone_into(&mut call.subresource);
        call
    }
}

fn kind_of(object: &Value) -> Result<GroupVersionKind, Status> {
    GroupVersionKind::of(object)
        .ok_or_else(|| failure::bad_request("the object has no kind or no apiVersion"))
}

impl Api for ServerApi<'_> {
    fn now(&self) -> SimTime {
        self.now
    }

    fn timestamp(&self) -> String {
        self.server.timestamp(self.now)
    }

    fn get(&self, key: &ObjectKey) -> Option<Arc<Value>> {
        self.server.get(key)
    }

    fn list(&self, kind: &GroupKind, namespace: Option<&str>) -> Vec<Arc<Value>> {
        self.server.list(kind, namespace)
    }

    fn owned(&self, kind: &GroupKind, uid: &str) -> Vec<Arc<Value>> {
        self.server.owned(kind, uid)
    }

    fn create(&mut self, manager: &str, object: Value) -> Result<Arc<Value>, Status> {
        let gvk = kind_of(&object)?;
        let resource = self.resource(&gvk.group, &gvk.kind)?;
        let mut call = self.call(manager, &resource, object::namespace(&object), "", "");
        call.api_version = gvk.api_version();
        let result = self.server.create(&mut call, object.into());
        result.map(|written| written.object.value)
    }

    fn update(
        &mut self,
        manager: &str,
        object: Value,
        subresource: &str,
    ) -> Result<Arc<Value>, Status> {
        let gvk = kind_of(&object)?;
        let resource = self.resource(&gvk.group, &gvk.kind)?;
        let mut call = self.call(
            manager,
            &resource,
            object::namespace(&object),
            object::name(&object),
            subresource,
        );
        call.api_version = gvk.api_version();
        let result = self.server.update(&mut call, object.into());
        result.map(|written| written.object.value)
    }

    fn patch(
        &mut self,
        manager: &str,
        key: &ObjectKey,
        subresource: &str,
        patch_type: PatchType,
        patch: Value,
    ) -> Result<Arc<Value>, Status> {
        let resource = self.resource(&key.group, &key.kind)?;
        let mut call = self.call(manager, &resource, &key.namespace, &key.name, subresource);
        let result = self.server.patch(&mut call, patch_type, patch.into());
        result.map(|written| written.object.value)
    }

    fn delete(
        &mut self,
        manager: &str,
        key: &ObjectKey,
        options: &DeleteOptions,
    ) -> Result<(), Status> {
        let resource = self.resource(&key.group, &key.kind)?;
        let mut call = self.call(manager, &resource, &key.namespace, &key.name, "");
        self.server.delete(&mut call, options).map(|_| ())
    }

    fn bind(&mut self, manager: &str, pod: &ObjectKey, node: &str) -> Result<(), Status> {
        let resource = self.resource(&pod.group, &pod.kind)?;
        let mut call = self.call(manager, &resource, &pod.namespace, &pod.name, "binding");
        let binding =
            json!({"metadata": {"name": pod.name}, "target": {"kind": "Node", "name": node}});
        self.server.bind_pod(&mut call, &binding)
    }
}
