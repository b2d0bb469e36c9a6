//! How the API gets into the library: each function knows whether a path may remember it (see [`crate::paths`]).

use crate::api::targets::Targets;
use crate::paths::tree::{Function, Typed};
use crate::paths::value::{Unboxed, Value};
use crate::paths::watch::{self, Kind};
use rhai::{Dynamic, EvalAltResult, FuncRegistration, Module, RhaiFunc, RhaiNativeFunc, Variant};
use std::any::TypeId;
use std::sync::Arc;

type Answer<T> = Result<T, Box<EvalAltResult>>;

/// A module that functions of one kind are added to.
pub(crate) struct Api<'m> {
    module: &'m mut Module,
    kind: Kind,
}

impl<'m> Api<'m> {
    pub(crate) const fn new(module: &'m mut Module, kind: Kind) -> Self {
        Self { module, kind }
    }

    /// A type and the name that scripts know it by.
    pub(crate) fn custom_type<T: Variant + Clone>(&mut self, name: &str) {
        self.module.set_custom_type::<T>(name);
    }

    /// A type that `for` goes over.
    pub(crate) fn iterable<T>(&mut self)
    where
        T: Variant + Clone + IntoIterator,
        T::Item: Variant + Clone,
    {
        self.module.set_iter(TypeId::of::<T>(), |list| {
            watch::looked_at(&list);
            Box::new(list.cast::<T>().into_iter().map(Dynamic::from))
        });
    }

    /// A function or method.
    pub(crate) fn function<A: 'static, const N: usize, const X: bool, R, F>(
        &mut self,
        name: &str,
        function: F,
    ) where
        R: Variant + Clone,
        F: RhaiNativeFunc<A, N, X, R, true> + 'static,
    {
        self.add(self.kind, method(name), function, None);
    }

    /// A function that makes a list of a list. As the next ones it only looks at what it is given.
    pub(crate) fn of_list<F>(&mut self, name: &str, function: F)
    where
        F: Fn(&Targets) -> Targets + Clone + Send + Sync + 'static,
    {
        self.makes(name, move |list: &Targets| Ok(function(list)));
    }

    /// A function that makes a list of two.
    pub(crate) fn of_lists<F>(&mut self, name: &str, function: F)
    where
        F: Fn(&Targets, &Targets) -> Targets + Clone + Send + Sync + 'static,
    {
        let typed = function.clone();
        let typed = move |list: &Value, other: &Value| {
            Some(Value::List(typed(Targets::of(list)?, Targets::of(other)?)))
        };
        let function = move |list: &mut Targets, other: Targets| Answer::Ok(function(list, &other));
        self.add(self.kind, method(name), function, Some(Typed::Two(Box::new(typed))));
    }

    /// A function that makes a list of a list and something else.
    pub(crate) fn of_list_with<T, F>(&mut self, name: &str, function: F)
    where
        T: Variant + Clone,
        F: Fn(&Targets, T) -> Answer<Targets> + Clone + Send + Sync + 'static,
    {
        self.with(method(name), function, Targets::into_value);
    }

    /// A function that makes a value of a type that paths know of another one.
    pub(crate) fn makes<V, R, F>(&mut self, name: &str, function: F)
    where
        V: Unboxed,
        R: Unboxed,
        F: Fn(&V) -> Answer<R> + Clone + Send + Sync + 'static,
    {
        self.one(method(name), function, R::into_value);
    }

    /// What a value says of itself: a function.
    pub(crate) fn tells<V, R, F>(&mut self, name: &str, function: F)
    where
        V: Unboxed,
        R: Variant + Clone,
        F: Fn(&V) -> Answer<R> + Clone + Send + Sync + 'static,
    {
        self.one(method(name), function, Value::other);
    }

    /// The same as a property.
    pub(crate) fn has<V, R, F>(&mut self, name: &str, function: F)
    where
        V: Unboxed,
        R: Variant + Clone,
        F: Fn(&V) -> Answer<R> + Clone + Send + Sync + 'static,
    {
        self.one(property(name), function, Value::other);
    }

    /// A function and a property.
    pub(crate) fn tells_and_has<V, R, F>(&mut self, name: &str, function: F)
    where
        V: Unboxed,
        R: Variant + Clone,
        F: Fn(&V) -> Answer<R> + Clone + Send + Sync + 'static,
    {
        self.tells(name, function.clone());
        self.has(name, function);
    }

    /// What a value says of something else.
    pub(crate) fn tells_with<V, T, R, F>(&mut self, name: &str, function: F)
    where
        V: Unboxed,
        T: Variant + Clone,
        R: Variant + Clone,
        F: Fn(&V, T) -> Answer<R> + Clone + Send + Sync + 'static,
    {
        self.with(method(name), function, Value::other);
    }

    /// `list[index]`.
    pub(crate) fn list_indexer<T, R, F>(&mut self, function: F)
    where
        T: Variant + Clone,
        R: Variant + Clone,
        F: Fn(&Targets, T) -> Answer<R> + Clone + Send + Sync + 'static,
    {
        self.with(index(), function, Value::other);
    }

    /// Changes a value in place and returns it too, so that `x.y();` and `x.y()` as an answer both work. Where it fails, nothing
    /// has changed.
    pub(crate) fn changes<V, F>(&mut self, name: &str, function: F)
    where
        V: Unboxed,
        F: Fn(&mut V) -> Answer<()> + Clone + Send + Sync + 'static,
    {
        let typed = function.clone();
        let typed = move |value: &mut Value| typed(V::of_mut(value)?).ok();
        let function = move |value: &mut V| function(value).map(|()| value.clone());
        self.add(self.kind, method(name), function, Some(Typed::Builds(Box::new(typed))));
    }

    /// The same with something else.
    pub(crate) fn changes_with<V, T, F>(&mut self, name: &str, function: F)
    where
        V: Unboxed,
        T: Variant + Clone,
        F: Fn(&mut V, T) -> Answer<()> + Clone + Send + Sync + 'static,
    {
        let typed = function.clone();
        let typed =
            move |value: &mut Value, with: &Dynamic| typed(V::of_mut(value)?, with.clone().try_cast()?).ok();
        let function = move |value: &mut V, with: T| function(value, with).map(|()| value.clone());
        self.add(self.kind, method(name), function, Some(Typed::BuildsWith(Box::new(typed))));
    }

    fn one<V, R, F>(&mut self, registration: FuncRegistration, function: F, value: fn(R) -> Value)
    where
        V: Unboxed,
        R: Variant + Clone,
        F: Fn(&V) -> Answer<R> + Clone + Send + Sync + 'static,
    {
        let typed = function.clone();
        let typed = Typed::One(Box::new(move |of| typed(V::of(of)?).ok().map(value)));
        self.add(self.kind, registration, move |of: &mut V| function(of), Some(typed));
    }

    fn with<V, T, R, F>(&mut self, registration: FuncRegistration, function: F, value: fn(R) -> Value)
    where
        V: Unboxed,
        T: Variant + Clone,
        R: Variant + Clone,
        F: Fn(&V, T) -> Answer<R> + Clone + Send + Sync + 'static,
    {
        let typed = function.clone();
        let typed =
            move |of: &Value, with: &Dynamic| typed(V::of(of)?, with.clone().try_cast()?).ok().map(value);
        let function = move |of: &mut V, with: T| function(of, with);
        self.add(self.kind, registration, function, Some(Typed::With(Box::new(typed))));
    }

    /// A property.
    pub(crate) fn getter<A: 'static, const X: bool, R, F>(&mut self, name: &str, function: F)
    where
        R: Variant + Clone,
        F: RhaiNativeFunc<A, 1, X, R, true> + 'static,
    {
        self.property(self.kind, name, function);
    }

    /// A property that is another one at every call: what has read it is not worth remembering.
    pub(crate) fn changing<A: 'static, const X: bool, R, F>(&mut self, name: &str, function: F)
    where
        R: Variant + Clone,
        F: RhaiNativeFunc<A, 1, X, R, true> + 'static,
    {
        self.property(Kind::Other, name, function);
    }

    /// `value[index]`.
    pub(crate) fn indexer<A: 'static, const X: bool, R, F>(&mut self, function: F)
    where
        R: Variant + Clone,
        F: RhaiNativeFunc<A, 2, X, R, true> + 'static,
    {
        self.add(self.kind, index(), function, None);
    }

    fn property<A: 'static, const X: bool, R, F>(&mut self, kind: Kind, name: &str, function: F)
    where
        R: Variant + Clone,
        F: RhaiNativeFunc<A, 1, X, R, true> + 'static,
    {
        self.add(kind, property(name), function, None);
    }

    fn add<A: 'static, const N: usize, const X: bool, R, F>(
        &mut self,
        kind: Kind,
        registration: FuncRegistration,
        function: F,
        typed: Option<Typed>,
    ) where
        R: Variant + Clone,
        F: RhaiNativeFunc<A, N, X, R, true> + 'static,
    {
        let known = |call| Arc::new(Function { call, typed });
        let function = match function.into_rhai_function(true, false) {
            RhaiFunc::Pure { func, has_context, is_pure, is_volatile } => {
                let func = Arc::new(watch::watched(kind, false, known(func)));
                RhaiFunc::Pure { func, has_context, is_pure, is_volatile }
            }
            RhaiFunc::Method { func, has_context, is_pure, is_volatile } => {
                let func = Arc::new(watch::watched(kind, true, known(func)));
                RhaiFunc::Method { func, has_context, is_pure, is_volatile }
            }
            other => other,
        };
        registration.set_into_module_raw(self.module, F::param_types(), function);
    }
}

fn method(name: &str) -> FuncRegistration {
    FuncRegistration::new(name).in_internal_namespace()
}

fn property(name: &str) -> FuncRegistration {
    FuncRegistration::new(format!("get${name}")).in_global_namespace()
}

fn index() -> FuncRegistration {
    FuncRegistration::new("index$get$").in_global_namespace()
}
