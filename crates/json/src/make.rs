//! Writing values down in code.

/// A [`Value`](crate::Value) as it is written in JSON. What stands for a value may be any expression that has
/// [`ToValue`](crate::ToValue); and so may what stands for a name.
///
/// ```
/// use wavetank_json::json;
/// let name = String::from("web");
/// let object = json!({"metadata": {"name": name, "labels": {}}, "ports": [80, null]});
/// assert_eq!(object.to_string(), r#"{"metadata":{"labels":{},"name":"web"},"ports":[80,null]}"#);
/// ```
#[macro_export]
macro_rules! json {
    (null) => { $crate::Value::Null };
    ([]) => { $crate::Value::Array(::std::vec::Vec::new()) };
    ([$($items:tt)+]) => { $crate::Value::Array($crate::json_items!([] $($items)+)) };
    ({}) => { $crate::Value::Object($crate::Map::new()) };
    ({$($fields:tt)+}) => {{
        let mut fields = $crate::Map::new();
        $crate::json_fields!(fields $($fields)+);
        $crate::Value::Object(fields)
    }};
    ($value:expr) => { $crate::ToValue::to_value(&$value) };
}

/// The items of a list, one by one, until they are a vector.
#[doc(hidden)]
#[macro_export]
macro_rules! json_items {
    ([$($done:expr),*]) => { ::std::vec![$($done),*] };
    ([$($done:expr),*] null $(, $($rest:tt)*)?) => {
        $crate::json_items!([$($done,)* $crate::json!(null)] $($($rest)*)?)
    };
    ([$($done:expr),*] [$($item:tt)*] $(, $($rest:tt)*)?) => {
        $crate::json_items!([$($done,)* $crate::json!([$($item)*])] $($($rest)*)?)
    };
    ([$($done:expr),*] {$($item:tt)*} $(, $($rest:tt)*)?) => {
        $crate::json_items!([$($done,)* $crate::json!({$($item)*})] $($($rest)*)?)
    };
    ([$($done:expr),*] $item:expr $(, $($rest:tt)*)?) => {
        $crate::json_items!([$($done,)* $crate::json!($item)] $($($rest)*)?)
    };
}

/// The fields of an object, one by one, into `$fields`.
#[doc(hidden)]
#[macro_export]
macro_rules! json_fields {
    ($fields:ident) => {};
    ($fields:ident ($name:expr) : $($rest:tt)+) => { $crate::json_field!($fields [$name] $($rest)+) };
    ($fields:ident $name:tt : $($rest:tt)+) => { $crate::json_field!($fields [$name] $($rest)+) };
    ($fields:ident $($rest:tt)+) => { $crate::json_names!($fields [] $($rest)+) };
}

/// A name of several tokens, one by one, until the colon.
#[doc(hidden)]
#[macro_export]
macro_rules! json_names {
    ($fields:ident [$($name:tt)+] : $($rest:tt)+) => { $crate::json_field!($fields [$($name)+] $($rest)+) };
    ($fields:ident [$($name:tt)*] $next:tt $($rest:tt)+) => {
        $crate::json_names!($fields [$($name)* $next] $($rest)+)
    };
}

/// The value of the field `$name`, and the fields after it.
#[doc(hidden)]
#[macro_export]
macro_rules! json_field {
    ($fields:ident [$name:expr] null $(, $($rest:tt)*)?) => {
        $fields.insert(($name).into(), $crate::Value::Null);
        $crate::json_fields!($fields $($($rest)*)?);
    };
    ($fields:ident [$name:expr] [$($value:tt)*] $(, $($rest:tt)*)?) => {
        $fields.insert(($name).into(), $crate::json!([$($value)*]));
        $crate::json_fields!($fields $($($rest)*)?);
    };
    ($fields:ident [$name:expr] {$($value:tt)*} $(, $($rest:tt)*)?) => {
        $fields.insert(($name).into(), $crate::json!({$($value)*}));
        $crate::json_fields!($fields $($($rest)*)?);
    };
    ($fields:ident [$name:expr] $value:expr $(, $($rest:tt)*)?) => {
        $fields.insert(($name).into(), $crate::ToValue::to_value(&$value));
        $crate::json_fields!($fields $($($rest)*)?);
    };
}

#[cfg(test)]
mod tests {
    use crate::Value;

    #[test]
    fn what_is_written_is_what_there_is() {
        let (name, key, maybe) = (String::from("n"), "k", Some(3));
        let list = ["a", "b"];
        let value = json!({
            "null": null, "list": [null, 1, -2.5, "x", [], {}, [true,], {"a": name}], key: &name, (format!("{key}2")): list.len() + 1,
            "maybe": maybe, "none": None::<i64>, "items": list[..1], "call": list.join("-"), "nested": {"deep": {"deeper": [{"x": false}]}},
            "first": [1, 2][0], String::from("p"): 1, key.to_uppercase(): {},
        });
        let written = r#"{"K":{},"call":"a-b","first":1,"items":["a"],"k":"n","k2":3,"list":[null,1,-2.5,"x",[],{},[true],{"a":"n"}],"maybe":3,"nested":{"deep":{"deeper":[{"x":false}]}},"none":null,"null":null,"p":1}"#;
        assert_eq!(value.to_string(), written);
        assert_eq!(json!(value["list"][1]), 1);
        assert_eq!(json!(null), Value::Null);
        assert_eq!(json!([1, 2][1]), 2);
    }
}
