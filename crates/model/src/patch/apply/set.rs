//! Sets of field paths, as a trie, and `fieldsV1`, the form they are stored in (API-166).

use std::cmp::Ordering;
use std::sync::Arc;

use wavetank_json::{Map, Value};

use super::element::PathElement;
use crate::schema::{SchemaRef, Shape};

/// A set of field paths.
///
/// A path may be a member without its children being members, and the other way round: the set of an applied object holds
/// its leaves, not the structs above them.
///
/// A copy is the same piece of memory until one of the two is changed, and then only what lies on the way is copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// Sorted by element; each is a member or has children. `None` where there are none.
    nodes: Option<Arc<Vec<Node>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    element: PathElement,
    member: bool,
    children: FieldSet,
}

impl Node {
    const fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }
}

/// How two nodes of the same element become one.
#[derive(Clone, Copy)]
enum Operation {
    Union,
    Intersection,
    Difference,
    RecursiveDifference,
}

impl FieldSet {
    /// No paths.
    pub const EMPTY: Self = Self { nodes: None };

    fn of(nodes: Vec<Node>) -> Self {
        Self {
            nodes: (!nodes.is_empty()).then(|| Arc::new(nodes)),
        }
    }

    fn nodes(&self) -> &[Node] {
        self.nodes.as_deref().map_or(&[], Vec::as_slice)
    }

    fn nodes_mut(&mut self) -> &mut Vec<Node> {
        Arc::make_mut(self.nodes.get_or_insert_default())
    }

    fn into_nodes(self) -> Vec<Node> {
        self.nodes.map(Arc::unwrap_or_clone).unwrap_or_default()
    }

    /// Whether the two are one piece of memory.
    fn is_same(&self, other: &Self) -> bool {
        matches!((&self.nodes, &other.nodes), (Some(one), Some(other)) if Arc::ptr_eq(one, other))
    }

    /// Where an element is, or where it belongs.
    fn place(&self, element: &PathElement) -> Result<usize, usize> {
        self.nodes()
            .binary_search_by(|node| node.element.cmp(element))
    }

    /// The set of these paths.
    pub fn from_paths<'a>(paths: impl IntoIterator<Item = &'a [PathElement]>) -> Self {
        let mut out = Self::EMPTY;
        for path in paths {
            out.insert(path);
        }
        out
    }

    /// Adds a path; the empty path is not tracked.
    pub fn insert(&mut self, path: &[PathElement]) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        let place = self.place(first);
        let nodes = self.nodes_mut();
        let (Ok(at) | Err(at)) = place;
        if place.is_err() {
            let node = Node {
                element: first.clone(),
                member: false,
                children: Self::EMPTY,
            };
            nodes.insert(at, node);
        }
        let node = &mut nodes[at];
        if rest.is_empty() {
            node.member = true;
        } else {
            node.children.insert(rest);
        }
    }

    /// Adds an element with what lies below; empty ones are left out. Elements mostly come in order.
    #[inline]
    pub(super) fn push(
        &mut self,
        element: impl FnOnce() -> PathElement,
        member: bool,
        children: Self,
    ) {
        if !member && children.is_empty() {
            return;
        }
        self.add(Node {
            element: element(),
            member,
            children,
        });
    }

    fn add(&mut self, node: Node) {
        let last = self.nodes().last();
        if last.is_none_or(|last| last.element < node.element) {
            self.nodes_mut().push(node);
            return;
        }
        match self.place(&node.element) {
            Ok(at) => {
                let other = &mut self.nodes_mut()[at];
                other.member |= node.member;
                other.children = std::mem::take(&mut other.children).union(node.children);
            }
            Err(at) => self.nodes_mut().insert(at, node),
        }
    }

    /// Whether there are no paths.
    pub const fn is_empty(&self) -> bool {
        self.nodes.is_none()
    }

    /// Number of paths.
    pub fn len(&self) -> usize {
        self.nodes()
            .iter()
            .map(|node| usize::from(node.member) + node.children.len())
            .sum()
    }

    fn node(&self, element: &PathElement) -> Option<&Node> {
        Some(&self.nodes()[self.place(element).ok()?])
    }

    /// Whether the path is a member.
    pub fn contains(&self, path: &[PathElement]) -> bool {
        match path {
            [] => false,
            [last] => self.node(last).is_some_and(|node| node.member),
            [first, rest @ ..] => self
                .node(first)
                .is_some_and(|node| node.children.contains(rest)),
        }
    }

    /// What is known of one element: whether it is a member, and what lies below.
    pub(super) fn get(&self, element: &PathElement) -> Option<(bool, &Self)> {
        self.node(element).map(|node| (node.member, &node.children))
    }

    /// The elements of the first step.
    pub(super) fn elements(&self) -> impl Iterator<Item = (&PathElement, bool, &Self)> {
        self.nodes()
            .iter()
            .map(|node| (&node.element, node.member, &node.children))
    }

    /// Paths of either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        self.with_all(&other)
    }

    /// With the paths of `other`, of which only those are copied that are not here.
    #[must_use]
    pub(super) fn with_all(self, other: &Self) -> Self {
        self.combine(other, Operation::Union)
    }

    /// Paths of both.
    #[must_use]
    pub fn intersection(self, other: &Self) -> Self {
        self.combine(other, Operation::Intersection)
    }

    /// Paths that are not in `other`. Taking away a path leaves what lies below it.
    #[must_use]
    pub fn difference(self, other: &Self) -> Self {
        self.combine(other, Operation::Difference)
    }

    /// Paths that are not in `other` nor below a path of it.
    #[must_use]
    pub fn recursive_difference(self, other: &Self) -> Self {
        self.combine(other, Operation::RecursiveDifference)
    }

    fn combine(self, other: &Self, operation: Operation) -> Self {
        if matches!(operation, Operation::Union) && self.is_same(other) {
            return self;
        }
        if other.is_empty() {
            return if matches!(operation, Operation::Intersection) {
                Self::EMPTY
            } else {
                self
            };
        }
        let keeps_left = !matches!(operation, Operation::Intersection);
        let keeps_right = matches!(operation, Operation::Union);
        let mut out = Vec::with_capacity(self.nodes().len());
        let mut right = other.nodes().iter().peekable();
        for left in self.into_nodes() {
            let mut same = None;
            while let Some(node) = right.peek() {
                match node.element.cmp(&left.element) {
                    Ordering::Less => {
                        if keeps_right {
                            out.push((*node).clone());
                        }
                        right.next();
                    }
                    Ordering::Equal => {
                        same = right.next();
                        break;
                    }
                    Ordering::Greater => break,
                }
            }
            match same {
                Some(node) => out.extend(left.with(node, operation)),
                None if keeps_left => out.push(left),
                None => {}
            }
        }
        if keeps_right {
            out.extend(right.cloned());
        }
        Self::of(out)
    }

    /// Calls `visit` with each path: at each level the members first, then what lies below.
    pub fn for_each(&self, visit: &mut impl FnMut(&[PathElement])) {
        self.visit(&mut Vec::new(), visit);
    }

    fn visit(&self, path: &mut Vec<PathElement>, visit: &mut impl FnMut(&[PathElement])) {
        for node in self.nodes().iter().filter(|node| node.member) {
            path.push(node.element.clone());
            visit(path);
            path.pop();
        }
        for node in self.nodes().iter().filter(|node| !node.children.is_empty()) {
            path.push(node.element.clone());
            node.children.visit(path, visit);
            path.pop();
        }
    }

    /// With the declared fields on the way to a member being members too: needed before items are removed by set.
    #[must_use]
    pub(super) fn with_declared_parents(mut self, schema: Option<SchemaRef<'_>>) -> Self {
        let shape = schema.map(SchemaRef::shape);
        if self.is_empty() {
            return self;
        }
        for node in self.nodes_mut() {
            if node.children.is_empty() {
                continue;
            }
            let below = match &node.element {
                PathElement::Field(name) => {
                    if let Some(Shape::Struct(definition)) = shape {
                        node.member |= definition.field(name).is_some();
                    }
                    schema.and_then(|schema| schema.field(name))
                }
                _ => schema.and_then(SchemaRef::items),
            };
            node.children = std::mem::take(&mut node.children).with_declared_parents(below);
        }
        self
    }

    /// Whether no path is in both.
    pub fn is_disjoint(&self, other: &Self) -> bool {
        self.shared(other).all(|(one, other)| {
            !(one.member && other.member) && one.children.is_disjoint(&other.children)
        })
    }

    /// Whether each path of `other` is in this.
    pub fn contains_all(&self, other: &Self) -> bool {
        self.is_same(other)
            || other.nodes().iter().all(|node| {
                self.node(&node.element).is_some_and(|own| {
                    (own.member || !node.member) && own.children.contains_all(&node.children)
                })
            })
    }

    /// The nodes of the elements that stand in both.
    fn shared<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (&'a Node, &'a Node)> {
        let (few, many) = if self.nodes().len() < other.nodes().len() {
            (self, other)
        } else {
            (other, self)
        };
        few.nodes()
            .iter()
            .filter_map(|node| Some((node, many.node(&node.element)?)))
    }

    /// Writes `fieldsV1`.
    pub(super) fn write_fields_v1(&self, out: &mut Vec<u8>) {
        self.write(false, out);
    }

    fn write(&self, with_self: bool, out: &mut Vec<u8>) {
        out.push(b'{');
        let start = out.len();
        if with_self && !self.is_empty() {
            out.extend_from_slice(b"\".\":{},");
        }
        for node in self.nodes() {
            node.element.write_json_key(out);
            out.push(b':');
            node.children.write(node.member, out);
            out.push(b',');
        }
        if out.len() > start {
            out.pop();
        }
        out.push(b'}');
    }

    /// As `fieldsV1`.
    pub fn to_fields_v1(&self) -> Value {
        Value::Object(self.encode(false))
    }

    fn encode(&self, with_self: bool) -> Map {
        let mut out = Map::new();
        if with_self && !self.is_empty() {
            out.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for node in self.nodes() {
            out.insert(
                node.element.to_key(),
                Value::Object(node.children.encode(node.member)),
            );
        }
        out
    }

    /// Reads `fieldsV1`. Kinds of path elements that are not known are left out.
    ///
    /// # Errors
    /// A key that is none.
    pub fn from_fields_v1(fields: &Value) -> Result<Self, String> {
        let mut out = Self::EMPTY;
        for (key, below) in fields.as_object().into_iter().flatten() {
            if key == "." {
                continue;
            }
            let Some(element) = PathElement::from_key(key)? else {
                continue;
            };
            let children = Self::from_fields_v1(below)?;
            let member = children.is_empty() || below.get(".").is_some();
            out.push(|| element, member, children);
        }
        Ok(out)
    }
}

impl Node {
    fn with(self, other: &Self, operation: Operation) -> Option<Self> {
        let member = match operation {
            Operation::Union => self.member || other.member,
            Operation::Intersection => self.member && other.member,
            Operation::Difference | Operation::RecursiveDifference => self.member && !other.member,
        };
        let children = match operation {
            Operation::RecursiveDifference if other.member => FieldSet::EMPTY,
            Operation::Union if self.children.is_empty() => other.children.clone(),
            _ => self.children.combine(&other.children, operation),
        };
        Some(Self {
            element: self.element,
            member,
            children,
        })
        .filter(|node| !node.is_empty())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use wavetank_json::json;

    use super::super::element::Atom;
    use super::*;

    fn element() -> impl Strategy<Value = PathElement> {
        prop_oneof![
            "[a-c]".prop_map(|name| PathElement::field(&name)),
            ("[a-b]", 0_i64..2).prop_map(|(name, number)| PathElement::Key(
                [
                    ("name".into(), Atom::Text(name.into())),
                    ("port".into(), Atom::Integer(number))
                ]
                .into()
            )),
            "[a-b<\"]".prop_map(|text| PathElement::Key(
                [
                    ("name".into(), Atom::Text(text.clone().into())),
                    ("type".into(), Atom::Text(text.into()))
                ]
                .into()
            )),
            "[a-b<]".prop_map(|text| PathElement::Value(Atom::Text(text.into()))),
            (0_i64..2).prop_map(PathElement::Index),
        ]
    }

    pub(crate) fn set() -> impl Strategy<Value = FieldSet> {
        proptest::collection::vec(proptest::collection::vec(element(), 1..4), 0..8)
            .prop_map(|paths| FieldSet::from_paths(paths.iter().map(Vec::as_slice)))
    }

    fn paths(set: &FieldSet) -> Vec<Vec<PathElement>> {
        let mut out = Vec::new();
        set.for_each(&mut |path| out.push(path.to_vec()));
        out.sort();
        out
    }

    proptest! {
        #[test]
        fn the_algebra_is_that_of_sets_of_paths(a in set(), b in set()) {
            let in_b = |path: &Vec<PathElement>| b.contains(path);
            let union = a.clone().union(b.clone());
            let mut expected = [paths(&a), paths(&b)].concat();
            expected.sort();
            expected.dedup();
            prop_assert_eq!(paths(&union), expected);
            prop_assert_eq!(&union, &b.clone().union(a.clone()));
            let difference = a.clone().difference(&b);
            prop_assert_eq!(paths(&difference), paths(&a).into_iter().filter(|path| !in_b(path)).collect::<Vec<_>>());
            let intersection = a.clone().intersection(&b);
            prop_assert_eq!(paths(&intersection), paths(&a).into_iter().filter(in_b).collect::<Vec<_>>());
            prop_assert_eq!(a.is_disjoint(&b), intersection.is_empty());
            prop_assert_eq!(a.contains_all(&b), b.clone().difference(&a).is_empty());
            prop_assert_eq!(difference.union(intersection), a.clone());
            let below = a.clone().recursive_difference(&b);
            let free = |path: &Vec<PathElement>| (1..=path.len()).all(|end| !b.contains(&path[..end]));
            prop_assert_eq!(paths(&below), paths(&a).into_iter().filter(free).collect::<Vec<_>>());
            prop_assert_eq!(a.len(), paths(&a).len());
        }

        #[test]
        fn fields_v1_reads_back_as_the_same_set(a in set()) {
            let fields = a.to_fields_v1();
            let mut text = Vec::new();
            a.write_fields_v1(&mut text);
            prop_assert_eq!(&serde_json::from_slice::<Value>(&text).unwrap(), &fields);
            prop_assert_eq!(FieldSet::from_fields_v1(&fields).unwrap(), a);
        }
    }

    #[test]
    fn what_does_not_change_stays_one_piece_of_memory() {
        let of = |fields: &Value| FieldSet::from_fields_v1(fields).unwrap();
        let set =
            of(&json!({"f:spec": {"f:a": {}, "f:b": {}}, "f:status": {"f:c": {}, "f:d": {}}}));
        let taken = set
            .clone()
            .difference(&of(&json!({"f:status": {"f:d": {}}})));
        let added = taken.clone().union(of(&json!({"f:status": {"f:e": {}}})));
        let part = |set: &FieldSet, name| set.get(&PathElement::field(name)).unwrap().1.clone();
        for other in [&taken, &added] {
            assert!(part(&set, "spec").is_same(&part(other, "spec")));
            assert!(!part(&set, "status").is_same(&part(other, "status")));
        }
        assert_eq!(
            part(&set, "status").to_fields_v1(),
            json!({"f:c": {}, "f:d": {}})
        );
        assert_eq!(
            part(&added, "status").to_fields_v1(),
            json!({"f:c": {}, "f:e": {}})
        );
    }

    #[test]
    fn fields_v1_is_written_as_the_server_does() {
        let fields = json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}, "f:finalizers": {"v:\"x<y\"": {}}},
            "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}, "f:list": {"i:0": {}}});
        let mut expected = fields.clone();
        expected["f:metadata"]["f:finalizers"] = json!({"v:\"x\\u003cy\"": {}});
        let set = FieldSet::from_fields_v1(&fields).unwrap();
        assert_eq!(set.to_fields_v1(), expected);
        let mut texts = Vec::new();
        set.for_each(&mut |path| {
            texts.push(path.iter().map(ToString::to_string).collect::<String>());
        });
        assert_eq!(
            texts,
            [
                ".list[0]",
                ".metadata.labels",
                ".metadata.finalizers[=\"x<y\"]",
                ".metadata.labels.a",
                ".ports[port=80,protocol=\"TCP\"]",
                ".ports[port=80,protocol=\"TCP\"].port"
            ]
        );
        assert!(FieldSet::from_fields_v1(&json!({"x": {}})).is_err());
        assert!(
            FieldSet::from_fields_v1(&json!({"x:y": {}}))
                .unwrap()
                .is_empty()
        );
    }
}
