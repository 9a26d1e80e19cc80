//! Types that know the names, the meaning and the JSON Schema of their parts, so that the schema, the suggestions for
//! misspelt names and the types themselves cannot drift apart.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A part of the document that can say what it looks like.
pub(crate) trait Described {
    /// The JSON Schema of this type; definitions that it needs are added to `definitions`.
    fn schema(definitions: &mut Map<String, Value>) -> Value;
}

/// One key of an object in the document.
#[derive(Clone, Copy)]
pub struct Key {
    /// The key as it is written.
    pub name: &'static str,
    /// What it means; the first line is a sentence of its own.
    pub meaning: &'static str,
    /// Whether it must be there.
    pub required: bool,
    pub(crate) schema: fn(&mut Map<String, Value>) -> Value,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("name", &self.name)
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}

/// What is left out when it is written: nothing was said.
pub(crate) trait Blank {
    fn is_blank(&self) -> bool;
}

impl<T> Blank for Option<T> {
    fn is_blank(&self) -> bool {
        self.is_none()
    }
}

impl<T> Blank for Vec<T> {
    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

impl<K, V> Blank for BTreeMap<K, V> {
    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

impl Blank for bool {
    fn is_blank(&self) -> bool {
        !self
    }
}

pub(crate) fn is_blank<T: Blank>(value: &T) -> bool {
    value.is_blank()
}

/// Reads what is there, so that `null` is a value and not an absence.
pub(crate) fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    serde::Deserialize::deserialize(deserializer).map(Some)
}

pub(crate) fn object_schema(keys: &[Key], meaning: &str, definitions: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for key in keys {
        properties.insert(key.name.to_owned(), with_meaning((key.schema)(definitions), key.meaning));
    }
    let required: Vec<&str> = keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = json!({
        "type": "object",
        "description": meaning.trim(),
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

pub(crate) fn with_meaning(mut schema: Value, meaning: &str) -> Value {
    if let Some(object) = schema.as_object_mut() {
        object.insert("description".to_owned(), Value::from(meaning.trim()));
    }
    schema
}

impl Described for String {
    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({"type": "string"})
    }
}

impl Described for bool {
    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({"type": "boolean"})
    }
}

impl Described for u32 {
    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({"type": "integer", "minimum": 0})
    }
}

impl Described for u64 {
    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({"type": "integer", "minimum": 0})
    }
}

impl Described for i32 {
    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({"type": "integer"})
    }
}

impl Described for i64 {
    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({"type": "integer"})
    }
}

impl Described for Value {
    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({})
    }
}

impl<T: Described> Described for Option<T> {
    fn schema(definitions: &mut Map<String, Value>) -> Value {
        T::schema(definitions)
    }
}

impl<T: Described> Described for Box<T> {
    fn schema(definitions: &mut Map<String, Value>) -> Value {
        T::schema(definitions)
    }
}

impl<T: Described> Described for Vec<T> {
    fn schema(definitions: &mut Map<String, Value>) -> Value {
        json!({"type": "array", "items": T::schema(definitions)})
    }
}

impl<T: Described> Described for BTreeMap<String, T> {
    fn schema(definitions: &mut Map<String, Value>) -> Value {
        json!({"type": "object", "additionalProperties": T::schema(definitions)})
    }
}

/// An object of the document: what must be said, what may be said, and how each is written.
macro_rules! described {
    (
        $(#[doc = $doc:literal])+
        $(#[derive($($derive:ident),+)])?
        pub struct $name:ident {
            required { $( $(#[doc = $rdoc:literal])+ $r:ident $(as $rname:literal)? : $rty:ty, )* }
            optional { $( $(#[doc = $odoc:literal])+ $(#[serde($($oserde:tt)*)])? $o:ident $(as $oname:literal)? : $oty:ty, )* }
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize $(, $($derive),+)?)]
        #[serde(deny_unknown_fields)]
        #[non_exhaustive]
        pub struct $name {
            $( $(#[doc = $rdoc])+ $(#[serde(rename = $rname)])? pub $r: $rty, )*
            $(
                $(#[doc = $odoc])+
                $(#[serde(rename = $oname)])?
                $(#[serde($($oserde)*)])?
                #[serde(default, skip_serializing_if = "crate::mapping::spec::described::is_blank")]
                pub $o: $oty,
            )*
        }

        impl $name {
            /// The keys of this object.
            pub const KEYS: &'static [crate::mapping::spec::described::Key] = &[
                $( crate::mapping::spec::described::Key {
                    name: described!(@name $r $($rname)?),
                    meaning: concat!($($rdoc, "\n"),+),
                    required: true,
                    schema: <$rty as crate::mapping::spec::described::Described>::schema,
                }, )*
                $( crate::mapping::spec::described::Key {
                    name: described!(@name $o $($oname)?),
                    meaning: concat!($($odoc, "\n"),+),
                    required: false,
                    schema: <$oty as crate::mapping::spec::described::Described>::schema,
                }, )*
            ];
        }

        impl crate::mapping::spec::described::Described for $name {
            fn schema(definitions: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
                let name = stringify!($name);
                if !definitions.contains_key(name) {
                    // Before its parts, which may contain it.
                    definitions.insert(name.to_owned(), serde_json::Value::Null);
                    let schema = crate::mapping::spec::described::object_schema(
                        Self::KEYS,
                        concat!($($doc, "\n"),+),
                        definitions,
                    );
                    definitions.insert(name.to_owned(), schema);
                }
                serde_json::json!({"$ref": format!("#/$defs/{name}")})
            }
        }
    };
    (@name $field:ident $name:literal) => { $name };
    (@name $field:ident) => { stringify!($field) };
}

/// A choice between words.
macro_rules! words {
    (
        $(#[doc = $doc:literal])+
        $(#[derive($($derive:ident),+)])?
        pub enum $name:ident { $( $(#[doc = $vdoc:literal])+ $(#[$vattr:ident])? $variant:ident = $word:literal, )+ }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, serde::Serialize, serde::Deserialize $(, $($derive),+)?)]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[doc = $vdoc])+ $(#[$vattr])? #[serde(rename = $word)] $variant, )+
        }

        impl $name {
            /// Every choice, as it is written.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word in the document.
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl crate::mapping::spec::described::Described for $name {
            fn schema(_: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
                serde_json::json!({"enum": Self::WORDS})
            }
        }
    };
}

/// The operations: an enum with one struct-like variant each, and a catalogue of their names, arguments and meanings.
macro_rules! operations {
    (
        $(#[doc = $doc:literal])+
        pub enum $name:ident {
            $(
                $(#[doc = $vdoc:literal])+
                $variant:ident = $word:literal {
                    $( $(#[doc = $rdoc:literal])+ $r:ident $(as $rname:literal)? : $rty:ty, )*
                    $( [ $( $(#[doc = $odoc:literal])+ $(#[serde($($oserde:tt)*)])? $o:ident $(as $oname:literal)? : $oty:ty, )* ] )?
                }
            )+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[non_exhaustive]
        pub enum $name {
            $(
                $(#[doc = $vdoc])+
                #[serde(rename = $word)]
                $variant {
                    $( $(#[doc = $rdoc])+ $(#[serde(rename = $rname)])? $r: $rty, )*
                    $($(
                        $(#[doc = $odoc])+
                        $(#[serde(rename = $oname)])?
                        $(#[serde($($oserde)*)])?
                        #[serde(default, skip_serializing_if = "crate::mapping::spec::described::is_blank")]
                        $o: $oty,
                    )*)?
                },
            )+
        }

        impl $name {
            /// Every operation: its name, its arguments, its meaning.
            pub const CATALOGUE: &'static [crate::mapping::spec::step::OpInfo] = &[
                $( crate::mapping::spec::step::OpInfo {
                    name: $word,
                    meaning: concat!($($vdoc, "\n"),+),
                    arguments: &[
                        $( crate::mapping::spec::described::Key {
                            name: operations!(@name $r $($rname)?),
                            meaning: concat!($($rdoc, "\n"),+),
                            required: true,
                            schema: <$rty as crate::mapping::spec::described::Described>::schema,
                        }, )*
                        $($( crate::mapping::spec::described::Key {
                            name: operations!(@name $o $($oname)?),
                            meaning: concat!($($odoc, "\n"),+),
                            required: false,
                            schema: <$oty as crate::mapping::spec::described::Described>::schema,
                        }, )*)?
                    ],
                }, )+
            ];

            /// The name of the operation, as it is written.
            pub fn name(&self) -> &'static str {
                match self { $( Self::$variant { .. } => $word, )+ }
            }
        }
    };
    (@name $field:ident $name:literal) => { $name };
    (@name $field:ident) => { stringify!($field) };
}

pub(crate) use {described, operations, words};
