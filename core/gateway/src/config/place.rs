//! The parts that the file's shape is made of: a place in the file, and a table of named entries.

use super::scalar::{Name, Scalar};
use super::tree::NodeId;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A place in the file where a `K` is to stand.
pub(super) struct At<K> {
    pub(super) id: NodeId,
    kind: PhantomData<K>,
}

impl<K> At<K> {
    pub(super) const fn new(id: NodeId) -> Self {
        Self { id, kind: PhantomData }
    }
}

impl<K> Clone for At<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for At<K> {}

impl<'de, K> Deserialize<'de> for At<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct("At", IdVisitor).map(Self::new)
    }
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = NodeId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a place in the file")
    }

    fn visit_u64<E: de::Error>(self, id: u64) -> Result<NodeId, E> {
        NodeId::try_from(id).map_err(E::custom)
    }
}

impl<K: Scalar> JsonSchema for At<K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        K::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = K::schema();
        schema.insert("title".to_owned(), K::NAME.into());
        schema
    }
}

/// Named entries, in the order of the file.
pub(super) struct Table<T>(pub(super) Vec<(At<Name>, T)>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TableVisitor(PhantomData))
    }
}

struct TableVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TableVisitor<T> {
    type Value = Table<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Table<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<At<Name>>()? {
            entries.push((key, map.next_value()?));
        }
        Ok(Table(entries))
    }
}

impl<T: JsonSchema> JsonSchema for Table<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "table".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": generator.subschema_for::<T>() })
    }
}
