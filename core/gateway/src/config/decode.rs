//! From the tree to the file's shape, by serde: a scalar decodes to its node's id, so that it can be reported later.
//!
//! Runs after [`super::shape`]: what could fail here was found, reported and marked there.

use super::tree::{Entry, NodeId, Tree, Value};
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Visitor};
use serde::forward_to_deserialize_any;
use std::{fmt, slice};

/// Decodes the node `id`.
pub(super) fn decode<'de, T: serde::Deserialize<'de>>(tree: &'de Tree, id: NodeId) -> Result<T, Mismatch> {
    T::deserialize(At { tree, id })
}

/// The tree does not fit the shape; says nothing of the values.
#[derive(Debug)]
pub(super) struct Mismatch(String);

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

#[derive(Clone, Copy)]
struct At<'de> {
    tree: &'de Tree,
    id: NodeId,
}

impl<'de> de::Deserializer<'de> for At<'de> {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match &self.tree.node(self.id).value {
            Value::Seq(items) => visitor.visit_seq(Items { tree: self.tree, left: items.iter() }),
            Value::Map(entries) => {
                visitor.visit_map(Pairs { tree: self.tree, left: entries.iter(), value: None })
            }
            _ => visitor.visit_u64(self.id as u64),
        }
    }

    /// The mark of a place in the file: its id, whatever stands there.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_u64(self.id as u64)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.tree.node(self.id).value {
            Value::Reported => visitor.visit_seq(Items { tree: self.tree, left: [].iter() }),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.tree.node(self.id).value {
            Value::Reported => visitor.visit_map(Pairs { tree: self.tree, left: [].iter(), value: None }),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        self.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct tuple tuple_struct enum identifier ignored_any
    }
}

struct Items<'de> {
    tree: &'de Tree,
    left: slice::Iter<'de, NodeId>,
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Mismatch;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mismatch> {
        let Some(&id) = self.left.next() else { return Ok(None) };
        seed.deserialize(At { tree: self.tree, id }).map(Some)
    }
}

struct Pairs<'de> {
    tree: &'de Tree,
    left: slice::Iter<'de, Entry>,
    value: Option<NodeId>,
}

impl<'de> de::MapAccess<'de> for Pairs<'de> {
    type Error = Mismatch;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mismatch> {
        let Some(entry) = self.left.next() else { return Ok(None) };
        self.value = Some(entry.value);
        seed.deserialize(Key { name: &entry.name, id: entry.key }).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mismatch> {
        let id = self.value.take().ok_or_else(|| Mismatch("value before key".to_owned()))?;
        seed.deserialize(At { tree: self.tree, id })
    }
}

struct Key<'de> {
    name: &'de str,
    id: NodeId,
}

impl<'de> de::Deserializer<'de> for Key<'de> {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        StrDeserializer::new(self.name).deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_u64(self.id as u64)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
