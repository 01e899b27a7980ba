//! Properties as they are declared and as they live.
//!
//! A service tells more than was declared, leaves out what can be written only, and orders lists as it likes: only what
//! was declared is compared.

use serde_json::{Map, Value, json};

/// What has to be changed so that the living properties say what is wanted, as a JSON Patch (RFC 6902). Properties that
/// are not told (`create_only` among them) are given again, for the service forgets them otherwise; properties that
/// were recorded and are wanted no more are taken away.
pub(super) fn patch(recorded: &Value, wanted: &Value, living: &Value, create_only: &[String]) -> Vec<Value> {
    let mut steps = Vec::new();
    compare("", recorded, wanted, living, &mut |path, step| {
        let given_once = step["op"] == "add" && living.pointer(path).is_none() && is_among(path, create_only);
        if !given_once {
            steps.push(step);
        }
    });
    steps
}

fn compare(path: &str, recorded: &Value, wanted: &Value, living: &Value, note: &mut dyn FnMut(&str, Value)) {
    for (name, value) in members(wanted) {
        let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
        match living.get(name) {
            Some(lives) if fits(value, lives) && !lost(&recorded[name], value, lives) => {}
            Some(lives) if value.is_object() && lives.is_object() => {
                compare(&path, &recorded[name], value, lives, note);
            }
            _ => note(&path, json!({"op": "add", "path": path, "value": value})),
        }
    }
    for (name, _) in members(recorded).filter(|(name, _)| wanted.get(name).is_none() && living.get(name).is_some()) {
        let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
        note(&path, json!({"op": "remove", "path": path}));
    }
}

/// Whether something in it was recorded, is wanted no more, and still lives.
fn lost(recorded: &Value, wanted: &Value, living: &Value) -> bool {
    members(recorded).any(|(name, recorded)| match (wanted.get(name), living.get(name)) {
        (None, Some(_)) => true,
        (Some(wanted), Some(living)) => lost(recorded, wanted, living),
        _ => false,
    })
}

/// Whether a JSON pointer is one of these paths (`Network.Family`) or lies below one.
fn is_among(pointer: &str, paths: &[String]) -> bool {
    paths.iter().any(|path| {
        let path = format!("/{}", path.replace('.', "/"));
        pointer == path || pointer.strip_prefix(&path).is_some_and(|rest| rest.starts_with('/'))
    })
}

/// The declared properties as they live, in the declared words where they say the same. What is not told stays as it
/// was declared, unless the service `told` it before: then somebody has taken it away.
pub(super) fn as_declared(declared: &Value, living: &Value, told: Option<&Value>) -> Value {
    let was_told = |name: &str| told.is_some_and(|told| told.get(name).is_some());
    let property = |(name, declared): (&String, &Value)| match living.get(name) {
        Some(living) => Some((name.clone(), restricted(declared, living))),
        None if was_told(name) => None,
        None => Some((name.clone(), declared.clone())),
    };
    members(declared).filter_map(property).collect::<Map<_, _>>().into()
}

/// What lives of one property.
fn restricted(declared: &Value, living: &Value) -> Value {
    if fits(declared, living) {
        return declared.clone();
    }
    match (declared, living) {
        (Value::Object(_), Value::Object(_)) => members(declared)
            .filter_map(|(name, declared)| Some((name.clone(), restricted(declared, living.get(name)?))))
            .collect::<Map<_, _>>()
            .into(),
        _ => living.clone(),
    }
}

/// Whether what lives says what was declared: it may say more, order lists otherwise, and write numbers and switches as
/// texts.
fn fits(declared: &Value, living: &Value) -> bool {
    match (declared, living) {
        (Value::Object(_), Value::Object(_)) => {
            members(declared).all(|(name, value)| living.get(name).is_some_and(|living| fits(value, living)))
        }
        (Value::Array(declared), Value::Array(living)) => {
            let mut left: Vec<&Value> = living.iter().collect();
            declared.len() == living.len()
                && declared.iter().all(|item| {
                    let found = left.iter().position(|living| fits(item, living));
                    found.map(|at| left.swap_remove(at)).is_some()
                })
        }
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::String(text), plain @ (Value::Number(_) | Value::Bool(_)))
        | (plain @ (Value::Number(_) | Value::Bool(_)), Value::String(text)) => {
            text.parse::<Value>().is_ok_and(|meant| !meant.is_string() && fits(&meant, plain))
        }
        (declared, living) => declared == living,
    }
}

/// The members of an object, without those that are null.
fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_the_same_shows_no_drift() {
        let declared = json!({
            "Days": 7, "Port": "80", "On": true, "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}],
            "Network": {"Family": "ipv4"}, "Password": "p",
        });
        let living = json!({
            "Days": "7", "Port": 80.0, "On": "true", "Tags": [{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}],
            "Network": {"Family": "ipv4", "Range": "10.0.0.0/16"}, "Arn": "arn",
        });
        assert_eq!(as_declared(&declared, &living, Some(&living)), declared);
        // What is not told has to be given again, or an update takes it away.
        let given = json!([{"op": "add", "path": "/Password", "value": "p"}]);
        assert_eq!(Value::from(patch(&declared, &declared, &living, &[])), given);
    }

    #[test]
    fn what_somebody_changed_is_drift() {
        let declared = json!({"Days": 7, "Network": {"Family": "ipv4", "Range": "a"}, "Gone": 1, "Tags": [1, 2]});
        let told = json!({"Days": 7, "Network": {}, "Gone": 1});
        let living = json!({"Days": 14, "Network": {"Family": "ipv6", "Other": 1}, "Tags": [1]});
        assert_eq!(
            as_declared(&declared, &living, Some(&told)),
            json!({"Days": 14, "Network": {"Family": "ipv6"}, "Tags": [1]})
        );
    }

    #[test]
    fn patches_touch_what_differs_alone() {
        let recorded = json!({"Name": "n", "Days": 7, "Old": 1, "Network": {"Family": "ipv4", "Range": "a", "Old": 1}});
        let wanted =
            json!({"Name": "n", "Days": 14, "New": 1, "Network": {"Family": "ipv4", "Range": "b"}, "Password": "p"});
        let living = json!({
            "Name": "n", "Days": 7, "Old": 1, "Network": {"Family": "ipv4", "Range": "a", "Old": 1, "Told": 1},
        });
        assert_eq!(
            Value::from(patch(&recorded, &wanted, &living, &[])),
            json!([
                {"op": "add", "path": "/Days", "value": 14},
                {"op": "add", "path": "/Network/Range", "value": "b"},
                {"op": "remove", "path": "/Network/Old"},
                {"op": "add", "path": "/New", "value": 1},
                {"op": "add", "path": "/Password", "value": "p"},
                {"op": "remove", "path": "/Old"},
            ])
        );
    }

    #[test]
    fn what_is_given_once_and_never_told_is_not_given_again() {
        let properties = json!({"Days": 14, "Certificate": {"Key": "k"}, "a/b": 1});
        let living = json!({"Days": 7});
        let steps = patch(&properties, &properties, &living, &["Certificate".to_owned()]);
        assert_eq!(
            Value::from(steps),
            json!([
                {"op": "add", "path": "/Days", "value": 14},
                {"op": "add", "path": "/a~1b", "value": 1},
            ])
        );
    }
}
