//! The macro that makes a component of a plugin, and what it expands to.

/// Makes a component of a type that implements [`Plugin`](crate::Plugin) and the named hooks: `guard`, `route`,
/// `on_error`. Does nothing when the crate is compiled for the host.
///
/// ```
/// # use weir_sdk::*;
/// # struct Mine;
/// # impl Plugin for Mine { fn configure(_: Config<'_>) -> Result<Self, String> { Ok(Self) } }
/// # impl Guard for Mine { fn guard(&self, _: &dyn Request) -> Verdict { Verdict::pass() } }
/// # impl OnError for Mine { fn on_error(&self, _: &Head, _: &[AttemptError]) -> Recovery { Recovery::FollowPlan } }
/// weir_sdk::export!(Mine: guard, on_error);
/// ```
#[macro_export]
macro_rules! export {
    ($plugin:ty : $($hook:ident),+ $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Export;
            ::std::thread_local!(static PLUGIN: $crate::glue::Slot<$plugin> = const { $crate::glue::Slot::new() });
            impl $crate::bindings::lifecycle::exports::weir::policy::lifecycle::Guest for Export {
                fn configure(json: ::std::string::String) -> ::std::result::Result<(), ::std::string::String> {
                    PLUGIN.with(|plugin| plugin.configure(&json))
                }
                fn self_test() -> ::std::result::Result<(), ::std::string::String> {
                    PLUGIN.with(|plugin| plugin.self_test())
                }
            }
            $crate::bindings::lifecycle::export_lifecycle!(Export with_types_in $crate::bindings::lifecycle);
            $($crate::export!(@ $hook);)+
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || { $($crate::export!(@host $plugin, $hook);)+ };
    };
    (@ guard) => {
        impl $crate::bindings::guard::exports::weir::policy::hook_guard::Guest for Export {
            fn guard(view: &$crate::glue::View) -> $crate::Verdict {
                PLUGIN.with(|plugin| $crate::glue::guard(plugin, view))
            }
        }
        $crate::bindings::guard::export_guard!(Export with_types_in $crate::bindings::guard);
    };
    (@ route) => {
        impl $crate::bindings::route::exports::weir::policy::hook_route::Guest for Export {
            fn route(head: $crate::Head, view: &$crate::glue::View) -> $crate::Decision {
                PLUGIN.with(|plugin| $crate::glue::route(plugin, &head, view))
            }
        }
        $crate::bindings::route::export_route!(Export with_types_in $crate::bindings::route);
    };
    (@ on_error) => {
        impl $crate::bindings::on_error::exports::weir::policy::hook_on_error::Guest for Export {
            fn on_error(
                head: $crate::Head,
                errors: ::std::vec::Vec<$crate::AttemptError>,
            ) -> $crate::Recovery {
                PLUGIN.with(|plugin| $crate::glue::on_error(plugin, &head, &errors))
            }
        }
        $crate::bindings::on_error::export_on_error!(Export with_types_in $crate::bindings::on_error);
    };
    (@host $plugin:ty, guard) => { let _ = <$plugin as $crate::Guard>::guard; };
    (@host $plugin:ty, route) => { let _ = <$plugin as $crate::Route>::route; };
    (@host $plugin:ty, on_error) => { let _ = <$plugin as $crate::OnError>::on_error; };
}

/// What [`export!`](crate::export!) calls; no part of the interface for authors.
pub mod glue {
    use crate::view::{HostRequest, HostTargets};
    use crate::{AttemptError, Config, Decision, Guard, Head, OnError, Plugin, Recovery, Route, Verdict};
    use std::cell::RefCell;
    use std::rc::Rc;

    pub use crate::bindings::imports::weir::policy::request::RequestView as View;

    /// The one plugin of an instance: made by `configure`, or with an empty config when a hook is asked first.
    pub struct Slot<P>(RefCell<Option<Rc<P>>>);

    impl<P: Plugin> Slot<P> {
        /// An empty slot.
        #[must_use]
        #[allow(clippy::new_without_default, reason = "only the macro makes one")]
        pub const fn new() -> Self {
            Self(RefCell::new(None))
        }

        /// Makes the plugin.
        ///
        /// # Errors
        /// What the plugin says of its config.
        pub fn configure(&self, json: &str) -> Result<(), String> {
            report_panics();
            let plugin = P::configure(Config::new(json))?;
            *self.0.borrow_mut() = Some(Rc::new(plugin));
            Ok(())
        }

        /// Asks the plugin to test itself.
        ///
        /// # Errors
        /// What the plugin says.
        pub fn self_test(&self) -> Result<(), String> {
            self.plugin()?.self_test()
        }

        fn plugin(&self) -> Result<Rc<P>, String> {
            if self.0.borrow().is_none() {
                self.configure(Config::EMPTY.json())?;
            }
            self.0.borrow().clone().ok_or_else(|| "not configured".to_owned())
        }

        #[allow(
            clippy::expect_used,
            reason = "self-test ran the same way at load: an error here is the plugin's own fault"
        )]
        fn ready(&self) -> Rc<P> {
            self.plugin().expect("the plugin refuses an empty config")
        }
    }

    /// The hook `guard`.
    pub fn guard<P: Guard>(slot: &Slot<P>, view: &View) -> Verdict {
        slot.ready().guard(&HostRequest(view))
    }

    /// The hook `route`.
    pub fn route<P: Route>(slot: &Slot<P>, head: &Head, view: &View) -> Decision {
        slot.ready().route(head, &HostRequest(view), &HostTargets)
    }

    /// The hook `on-error`.
    pub fn on_error<P: OnError>(slot: &Slot<P>, head: &Head, errors: &[AttemptError]) -> Recovery {
        slot.ready().on_error(head, errors)
    }

    /// Tells the host where a panic happened; its message stays here.
    fn report_panics() {
        #[cfg(target_arch = "wasm32")]
        std::panic::set_hook(Box::new(|info| {
            if let Some(at) = info.location() {
                crate::bindings::imports::weir::policy::fault::panicked(at.file(), at.line(), at.column());
            }
        }));
    }
}
