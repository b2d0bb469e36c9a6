//! How the API gets into the library: each function knows whether a path may remember it (see [`crate::paths`]).

use crate::paths::watch::{self, Kind};
use rhai::{FuncRegistration, Module, RhaiFunc, RhaiNativeFunc, Variant};
use std::any::TypeId;
use std::sync::Arc;

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
            Box::new(list.cast::<T>().into_iter().map(rhai::Dynamic::from))
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
        self.add(self.kind, FuncRegistration::new(name).in_internal_namespace(), function);
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
        self.add(self.kind, FuncRegistration::new("index$get$").in_global_namespace(), function);
    }

    fn property<A: 'static, const X: bool, R, F>(&mut self, kind: Kind, name: &str, function: F)
    where
        R: Variant + Clone,
        F: RhaiNativeFunc<A, 1, X, R, true> + 'static,
    {
        self.add(kind, FuncRegistration::new(format!("get${name}")).in_global_namespace(), function);
    }

    fn add<A: 'static, const N: usize, const X: bool, R, F>(
        &mut self,
        kind: Kind,
        registration: FuncRegistration,
        function: F,
    ) where
        R: Variant + Clone,
        F: RhaiNativeFunc<A, N, X, R, true> + 'static,
    {
        let function = match function.into_rhai_function(true, false) {
            RhaiFunc::Pure { func, has_context, is_pure, is_volatile } => {
                let func = Arc::new(watch::watched(kind, false, func));
                RhaiFunc::Pure { func, has_context, is_pure, is_volatile }
            }
            RhaiFunc::Method { func, has_context, is_pure, is_volatile } => {
                let func = Arc::new(watch::watched(kind, true, func));
                RhaiFunc::Method { func, has_context, is_pure, is_volatile }
            }
            other => other,
        };
        registration.set_into_module_raw(self.module, F::param_types(), function);
    }
}
