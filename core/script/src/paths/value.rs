//! A value of a walk. The types of the host that paths meet most stand in it as they are: a value of Rhai's is a box and a
//! cast, and a route is a dozen lists and a plan.

use crate::api::head::HeadHandle;
use crate::api::money::BaseHandle;
use crate::api::targets::Targets;
use rhai::{Dynamic, Variant};
use std::any::TypeId;
use weir_policy::{Charge, Plan};

/// A value of a walk.
#[derive(Clone)]
pub(crate) enum Value {
    Head(HeadHandle),
    List(Targets),
    Plan(Box<Plan>),
    Base(BaseHandle),
    Charge(Charge),
    Other(Dynamic),
}

/// A type that has a case of its own.
pub(crate) trait Unboxed: Variant + Clone {
    fn of(value: &Value) -> Option<&Self>;

    fn of_mut(value: &mut Value) -> Option<&mut Self>;

    fn into_value(self) -> Value;
}

macro_rules! unboxed {
    ($($case:ident: $type:ty),+) => {
        $(impl Unboxed for $type {
            fn of(value: &Value) -> Option<&Self> {
                match value {
                    Value::$case(it) => Some(it),
                    _ => None,
                }
            }

            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                match value {
                    Value::$case(it) => Some(it),
                    _ => None,
                }
            }

            fn into_value(self) -> Value {
                Value::$case(self.into())
            }
        })+

        impl Value {
            /// Of a value of Rhai's.
            pub(crate) fn of(value: Dynamic) -> Self {
                if !value.is_variant() {
                    return Self::Other(value);
                }
                $(let value = match value.try_cast_result::<$type>() {
                    Ok(it) => return it.into_value(),
                    Err(value) => value,
                };)+
                Self::Other(value)
            }

            /// The type that Rhai knows it by.
            pub(super) fn type_id(&self) -> TypeId {
                match self {
                    $(Self::$case(_) => TypeId::of::<$type>(),)+
                    Self::Other(value) => value.type_id(),
                }
            }
        }
    };
}

unboxed!(Head: HeadHandle, List: Targets, Plan: Plan, Base: BaseHandle, Charge: Charge);

impl Value {
    /// As Rhai has it.
    pub(crate) fn into_dynamic(self) -> Dynamic {
        match self {
            Self::Head(head) => Dynamic::from(head),
            Self::List(list) => Dynamic::from(list),
            Self::Plan(plan) => Dynamic::from(*plan),
            Self::Base(base) => Dynamic::from(base),
            Self::Charge(charge) => Dynamic::from(charge),
            Self::Other(value) => value,
        }
    }

    /// Of a value of any other type.
    pub(crate) fn other<T: Variant + Clone>(value: T) -> Self {
        Self::Other(Dynamic::from(value))
    }
}

impl Default for Value {
    fn default() -> Self {
        Self::Other(Dynamic::UNIT)
    }
}
