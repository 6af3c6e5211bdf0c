//! JSON documents as people put them: reading a value by its path, with errors that name it.

use super::error::{ArmError, Result};
use serde_json::{Map, Value, json};

/// The value at a path (`properties.osProfile`); `None` if it, or anything above it, is absent or null.
pub(super) fn at<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    let value = path.split('.').try_fold(document, |value, name| value.get(name))?;
    Some(value).filter(|value| !value.is_null())
}

/// A text at a path.
pub(super) fn text<'a>(document: &'a Value, path: &str) -> Result<Option<&'a str>> {
    typed(document, path, "a string", Value::as_str)
}

/// A boolean at a path.
pub(super) fn boolean(document: &Value, path: &str) -> Result<Option<bool>> {
    typed(document, path, "true or false", Value::as_bool)
}

/// An object at a path.
pub(super) fn object<'a>(document: &'a Value, path: &str) -> Result<Option<&'a Map<String, Value>>> {
    typed(document, path, "an object", Value::as_object)
}

/// A list at a path.
pub(super) fn list<'a>(document: &'a Value, path: &str) -> Result<Option<&'a Vec<Value>>> {
    typed(document, path, "a list", Value::as_array)
}

fn typed<'a, T>(
    document: &'a Value,
    path: &str,
    what: &str,
    read: impl Fn(&'a Value) -> Option<T>,
) -> Result<Option<T>> {
    let wrong = |value: &Value| {
        let shown: String = value.to_string().chars().take(80).collect();
        ArmError::bad("InvalidRequestContent", format!("{path} = {shown}: it must be {what}")).about(path)
    };
    at(document, path).map(|value| read(value).ok_or_else(|| wrong(value))).transpose()
}

/// Puts a value at a path; whatever stands in the way is replaced.
pub(super) fn set(document: &mut Value, path: &str, value: Value) {
    let mut place = document;
    for name in path.split('.') {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[name];
    }
    *place = value;
}

/// Puts a value at a path where there is none.
pub(super) fn set_if_absent(document: &mut Value, path: &str, value: Value) {
    if at(document, path).is_none() {
        set(document, path, value);
    }
}

/// Takes the value at a path away.
pub(super) fn remove(document: &mut Value, path: &str) {
    let (above, name) = path.rsplit_once('.').map_or((None, path), |(above, name)| (Some(above), name));
    let place = match above {
        None => Some(&mut *document),
        Some(above) => above.split('.').try_fold(document, |value, name| value.get_mut(name)),
    };
    if let Some(Value::Object(members)) = place {
        members.remove(name);
    }
}

/// A member that is null is as good as absent.
pub(super) fn drop_nulls(document: &mut Value) {
    match document {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(values) => values.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// A PATCH: members replace each other one by one, null takes one away (RFC 7396); tags are replaced as a whole, as
/// Azure does.
pub(super) fn patch(document: &mut Value, change: &Value) {
    merge(document, change);
    if let Some(tags) = change.get("tags").filter(|tags| !tags.is_null()) {
        document["tags"] = tags.clone();
    }
}

fn merge(document: &mut Value, change: &Value) {
    let Value::Object(changes) = change else {
        *document = change.clone();
        return;
    };
    if !document.is_object() {
        *document = json!({});
    }
    for (name, value) in changes {
        if value.is_null() {
            remove(document, name);
        } else {
            merge(&mut document[name.as_str()], value);
        }
    }
}
