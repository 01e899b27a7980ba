//! Serialisation of [`Value`]s with secrets that are encrypted with the key of the store.

use super::{
    map::Map,
    share::share,
    value::{Seal, SealError, Value},
};
use crate::intern::intern;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
    ser::{Error as _, SerializeMap},
};
use serde_json::Number;
use std::{cell::RefCell, fmt, sync::Arc};

const SECRET: &str = "$secret";

thread_local! {
    static SEAL: RefCell<Option<Arc<dyn Seal>>> = const { RefCell::new(None) };
}

/// Runs `work` with a key. Inside, values can be serialised and deserialised, with each secret encrypted as
/// `{"$secret": …}`. Outside, serialising a value that contains a secret fails.
pub fn sealing<T>(seal: &Arc<dyn Seal>, work: impl FnOnce() -> T) -> T {
    let outer = SEAL.replace(Some(seal.clone()));
    let answer = work();
    SEAL.replace(outer);
    answer
}

fn seal() -> Option<Arc<dyn Seal>> {
    SEAL.with_borrow(Clone::clone)
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(flag) => serializer.serialize_bool(*flag),
            Self::Number(number) => number.serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::List(items) => items.serialize(serializer),
            Self::Map(map) => {
                let mut out = serializer.serialize_map(Some(map.len()))?;
                for (key, value) in map {
                    if key.starts_with('$') {
                        out.serialize_entry(&format!("${key}"), value)?;
                    } else {
                        out.serialize_entry(&**key, value)?;
                    }
                }
                out.end()
            }
            Self::Secret(inner) => {
                let seal = seal().ok_or_else(|| S::Error::custom("secrets are serialised only by a state store"))?;
                let mut out = serializer.serialize_map(Some(1))?;
                let sealed = seal.seal(&inner.to_json().to_string()).map_err(S::Error::custom)?;
                out.serialize_entry(SECRET, &sealed)?;
                out.end()
            }
            Self::Unknown => Err(S::Error::custom("an unknown value cannot be serialised")),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Unsealing)
    }
}

/// Deserialises values directly, because an intermediate copy of a large state would be expensive.
struct Unsealing;

impl<'de> Visitor<'de> for Unsealing {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(intern(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        list.shrink_to_fit();
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(Key(key)) = entries.next_key()? {
            let value = entries.next_value()?;
            match (key.strip_prefix("$$"), &value) {
                (_, Value::String(sealed)) if *key == *SECRET => return unsealed(sealed).map_err(A::Error::custom),
                (Some(rest), _) => map.push((intern(&format!("${rest}")), value)),
                (None, _) => map.push((key, value)),
            }
        }
        Ok(Value::Map(share(Map::from_entries(map))))
    }
}

/// An interned property name.
struct Key(Arc<str>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor).map(Key)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Arc<str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a property name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Arc<str>, E> {
        Ok(intern(name))
    }
}

fn unsealed(sealed: &str) -> Result<Value, SealError> {
    let plain = seal().ok_or(SealError)?.unseal(sealed)?;
    let json = serde_json::from_str(&plain).map_err(|_| SealError)?;
    Ok(Value::from_json(json).into_secret())
}

/// Serialisation of expressions. A secret expression is encrypted as a whole, because any text in it may be the secret.
pub(super) mod expression {
    use super::{
        super::{expression::Expression, value::Seal, value::SealError},
        SECRET, seal, sealing,
    };
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _, ser::Error as _, ser::SerializeMap};
    use serde_json::Value as Json;
    use std::sync::Arc;

    /// Marks the inside of an encrypted expression, where nothing is encrypted again: a rotation has to find every
    /// encrypted text.
    struct Inside;

    impl Seal for Inside {
        fn seal(&self, plain: &str) -> Result<String, SealError> {
            Ok(plain.to_owned())
        }

        fn unseal(&self, sealed: &str) -> Result<String, SealError> {
            Ok(sealed.to_owned())
        }
    }

    #[expect(clippy::borrowed_box, reason = "serde hands over the field")]
    pub(in super::super) fn serialize<S: Serializer>(
        inner: &Box<Expression>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let seal = seal().ok_or_else(|| S::Error::custom("secrets are serialised only by a state store"))?;
        let inside: Arc<dyn Seal> = Arc::new(Inside);
        let plain = sealing(&inside, || serde_json::to_string(inner)).map_err(S::Error::custom)?;
        let mut out = serializer.serialize_map(Some(1))?;
        out.serialize_entry(SECRET, &seal.seal(&plain).map_err(S::Error::custom)?)?;
        out.end()
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Box<Expression>, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::Object(map) if map.contains_key(SECRET) => {
                let sealed = map.get(SECRET).and_then(Json::as_str).ok_or_else(|| D::Error::custom(SealError))?;
                let plain = seal().ok_or(SealError).and_then(|seal| seal.unseal(sealed)).map_err(D::Error::custom)?;
                let inside: Arc<dyn Seal> = Arc::new(Inside);
                sealing(&inside, || serde_json::from_str(&plain)).map_err(D::Error::custom)
            }
            // The format of the first versions.
            other => serde_json::from_value(other).map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{output_format, value::Output};
    use serde_json::json;

    struct Reverse;
    impl Seal for Reverse {
        fn seal(&self, plain: &str) -> Result<String, SealError> {
            Ok(plain.chars().rev().collect())
        }
        fn unseal(&self, sealed: &str) -> Result<String, SealError> {
            Ok(sealed.chars().rev().collect())
        }
    }

    #[test]
    fn everything_in_a_secret_expression_is_encrypted() {
        let mut hash: Output<String> =
            output_format!("user-{}-pass", Output::<String>::from("hunter2").secret()).secret();
        let key: Arc<dyn Seal> = Arc::new(Reverse);
        for _ in 0..2 {
            assert!(serde_json::to_string(hash.expression()).is_err(), "no key, no secret");
            let sealed = sealing(&key, || serde_json::to_string(hash.expression())).unwrap();
            assert!(!sealed.contains("hunter2") && !sealed.contains("pass"), "{sealed}");
            assert_eq!(sealed.matches(SECRET).count(), 1, "{sealed}");
            hash = Output::from_expression(sealing(&key, || serde_json::from_str(&sealed)).unwrap());
            assert!(hash.expression().is_secret());
            let value = hash.expression().evaluate(&|_| None).unwrap();
            assert_eq!(value.revealed(), Value::from("user-hunter2-pass"));
        }
    }

    #[test]
    fn sealed_secrets_round_trip_and_stay_masked() {
        let mut value = Value::from_json(json!({"a": [1, "x"], "$secret": "a user's own key"}));
        if let Value::Map(map) = &mut value {
            map.insert("p", Value::from("hunter2").into_secret());
        }
        assert!(serde_json::to_string(&value).is_err(), "no key, no secret");
        let key: Arc<dyn Seal> = Arc::new(Reverse);
        let sealed = sealing(&key, || serde_json::to_string(&value)).unwrap();
        assert!(!sealed.contains("hunter2"));
        let back: Value = sealing(&key, || serde_json::from_str(&sealed)).unwrap();
        assert_eq!(back, value);
        assert!(back.field("p").is_some_and(Value::has_secret));
        assert!(!format!("{back} {back:?}").contains("hunter2"));
    }
}
