//! A step: an operation, and what happens when it fails; in a document both stand in one object.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::mapping::spec::described::{Described, object_schema, with_meaning};
use crate::mapping::spec::policy::OnError;
use crate::mapping::spec::step::operation::Op;

/// One step of a rule: an operation, and what happens when it fails.
///
/// ```
/// use crossdock::mapping::{Op, Step};
///
/// let step: Step = serde_json::from_str(r#"{"op":"prefix","text":"SHOP-"}"#)?;
///
/// assert_eq!(step.op, Op::Prefix { text: "SHOP-".to_owned() });
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// What is done.
    pub op: Op,
    /// What happens when it fails; otherwise the rule or the document says it.
    pub on_error: Option<OnError>,
    /// The value with `"on_error":"default"`; otherwise the rule's.
    pub error_default: Option<Value>,
}

impl Step {
    /// The keys that every step may have beside the operation's own.
    pub const COMMON: &'static [&'static str] = &["op", ON_ERROR, ERROR_DEFAULT];
}

impl From<Op> for Step {
    fn from(op: Op) -> Self {
        Self { op, on_error: None, error_default: None }
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error;

        let Ok(Value::Object(tagged)) = serde_json::to_value(&self.op) else {
            return Err(S::Error::custom("an operation is an object"));
        };
        let mut flat = Map::new();
        for (name, arguments) in tagged {
            flat.insert("op".to_owned(), Value::String(name));
            if let Value::Object(arguments) = arguments {
                flat.extend(arguments);
            }
        }
        if let Some(on_error) = self.on_error {
            flat.insert(ON_ERROR.to_owned(), Value::from(on_error.as_str()));
        }
        if let Some(value) = &self.error_default {
            flat.insert(ERROR_DEFAULT.to_owned(), value.clone());
        }
        flat.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Step {
    /// By hand: a tag among the arguments would make serde buffer numbers, which breaks with `arbitrary_precision`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut flat = Map::deserialize(deserializer)?;
        let name = match flat.remove("op") {
            Some(Value::String(name)) => name,
            Some(_) => return Err(D::Error::custom("`op` is the name of an operation")),
            None => return Err(D::Error::missing_field("op")),
        };
        let on_error = match flat.remove(ON_ERROR) {
            Some(word) => Some(serde_json::from_value(word).map_err(D::Error::custom)?),
            None => None,
        };
        let error_default = flat.remove(ERROR_DEFAULT);
        let mut tagged = Map::new();
        tagged.insert(name, Value::Object(flat));
        let op = serde_json::from_value(Value::Object(tagged)).map_err(D::Error::custom)?;
        Ok(Self { op, on_error, error_default })
    }
}

impl Described for Step {
    fn schema(definitions: &mut Map<String, Value>) -> Value {
        if !definitions.contains_key("Step") {
            definitions.insert("Step".to_owned(), Value::Null);
            let steps: Vec<Value> = Op::CATALOGUE
                .iter()
                .map(|operation| {
                    let mut schema = object_schema(operation.arguments, operation.meaning, definitions);
                    schema["properties"]["op"] = json!({"const": operation.name});
                    schema["properties"][ON_ERROR] =
                        with_meaning(OnError::schema(definitions), "What happens when it fails.");
                    schema["properties"][ERROR_DEFAULT] =
                        json!({"description": "The value with `\"on_error\":\"default\"`."});
                    let mut required = vec![Value::from("op")];
                    required.extend(schema["required"].as_array().cloned().unwrap_or_default());
                    schema["required"] = Value::Array(required);
                    schema
                })
                .collect();
            definitions.insert("Step".to_owned(), json!({"oneOf": steps}));
        }
        json!({"$ref": "#/$defs/Step"})
    }
}

/// Beside the operation's own arguments.
const ON_ERROR: &str = "on_error";
const ERROR_DEFAULT: &str = "error_default";
