//! The macro that makes a component of a plugin, and what it expands to.

/// Makes a component of a type that implements [`Plugin`](crate::Plugin) and the named hooks: `admit`, `guard`, `redact`,
/// `route`, `attempt`, `on_error`, `guard_response`, `stream`, `price`, `complete`. Does nothing when the crate is
/// compiled for the host, beyond a check that the traits are there.
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
            // The author's type is named in here: names of our own must not be likely ones.
            struct WeirExport;
            ::std::thread_local!(static WEIR_PLUGIN: $crate::glue::Slot<$plugin> = const {
                $crate::glue::Slot::new($crate::export!(@panics $($hook)+))
            });
            impl $crate::bindings::lifecycle::exports::weir::policy::lifecycle::Guest for WeirExport {
                fn configure(json: ::std::string::String) -> ::std::result::Result<(), ::std::string::String> {
                    WEIR_PLUGIN.with(|plugin| plugin.configure(&json))
                }
                fn self_test() -> ::std::result::Result<(), ::std::string::String> {
                    WEIR_PLUGIN.with(|plugin| plugin.self_test())
                }
            }
            $crate::bindings::lifecycle::export_lifecycle!(WeirExport with_types_in $crate::bindings::lifecycle);
            $($crate::export!(@ $plugin, $hook);)+
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || { $($crate::export!(@host $plugin, $hook);)+ };
    };

    // A redactor and a pricer may not import the interface that takes the place of a panic.
    (@panics redact $($rest:ident)*) => { $crate::glue::stay_silent };
    (@panics price $($rest:ident)*) => { $crate::glue::stay_silent };
    (@panics $other:ident $($rest:ident)*) => { $crate::export!(@panics $($rest)*) };
    (@panics) => { $crate::glue::report_panics };

    (@ $plugin:ty, admit) => {
        impl $crate::bindings::admit::exports::weir::policy::hook_admit::Guest for WeirExport {
            fn admit(head: $crate::Head) -> $crate::Admission {
                WEIR_PLUGIN.with(|plugin| $crate::Admit::admit(&*plugin.ready(), &head))
            }
        }
        $crate::bindings::admit::export_admit!(WeirExport with_types_in $crate::bindings::admit);
    };
    (@ $plugin:ty, guard) => {
        impl $crate::bindings::guard::exports::weir::policy::hook_guard::Guest for WeirExport {
            fn guard(view: &$crate::glue::View) -> $crate::Verdict {
                WEIR_PLUGIN.with(|plugin| $crate::Guard::guard(&*plugin.ready(), &$crate::glue::HostRequest(view)))
            }
        }
        $crate::bindings::guard::export_guard!(WeirExport with_types_in $crate::bindings::guard);
    };
    (@ $plugin:ty, redact) => {
        struct WeirRedactor(::std::cell::RefCell<<$plugin as $crate::Redact>::Stream>);
        impl $crate::bindings::redact::exports::weir::policy::hook_redact::GuestStreamRedactor for WeirRedactor {
            fn new(direction: $crate::Direction, head: $crate::Head) -> Self {
                let stream = WEIR_PLUGIN
                    .with(|plugin| $crate::Redact::stream_for(&*plugin.ready(), direction, &head));
                Self(::std::cell::RefCell::new(stream))
            }
            fn call(&self, lane: $crate::Lane, tool: ::std::string::String) {
                $crate::RedactStream::call(&mut *self.0.borrow_mut(), lane, &tool);
            }
            fn push(&self, lane: $crate::Lane, text: ::std::string::String) -> $crate::RedactStep {
                $crate::RedactStream::push(&mut *self.0.borrow_mut(), lane, &text)
            }
            fn finish(
                &self,
                lane: $crate::Lane,
                text: ::std::string::String,
            ) -> ::std::vec::Vec<$crate::Span> {
                $crate::RedactStream::finish(&mut *self.0.borrow_mut(), lane, &text)
            }
        }
        impl $crate::bindings::redact::exports::weir::policy::hook_redact::Guest for WeirExport {
            type StreamRedactor = WeirRedactor;
            fn redact(
                direction: $crate::Direction,
                view: &$crate::glue::View,
            ) -> ::std::result::Result<::std::vec::Vec<$crate::Span>, u16> {
                let view = $crate::glue::HostRequest(view);
                WEIR_PLUGIN.with(|plugin| $crate::Redact::redact(&*plugin.ready(), direction, &view))
            }
        }
        $crate::bindings::redact::export_redact!(WeirExport with_types_in $crate::bindings::redact);
    };
    (@ $plugin:ty, route) => {
        impl $crate::bindings::route::exports::weir::policy::hook_route::Guest for WeirExport {
            fn route(head: $crate::Head, view: &$crate::glue::View) -> $crate::Decision {
                let view = $crate::glue::HostRequest(view);
                WEIR_PLUGIN.with(|plugin| {
                    $crate::Route::route(&*plugin.ready(), &head, &view, &$crate::glue::HostTargets)
                })
            }
        }
        $crate::bindings::route::export_route!(WeirExport with_types_in $crate::bindings::route);
    };
    (@ $plugin:ty, attempt) => {
        impl $crate::bindings::attempt::exports::weir::policy::hook_attempt::Guest for WeirExport {
            fn attempt(
                head: $crate::Head,
                facts: $crate::AttemptFacts,
                view: &$crate::glue::View,
            ) -> $crate::Preparation {
                let view = $crate::glue::HostRequest(view);
                WEIR_PLUGIN.with(|plugin| $crate::Attempt::attempt(&*plugin.ready(), &head, &facts, &view))
            }
        }
        $crate::bindings::attempt::export_attempt!(WeirExport with_types_in $crate::bindings::attempt);
    };
    (@ $plugin:ty, on_error) => {
        impl $crate::bindings::on_error::exports::weir::policy::hook_on_error::Guest for WeirExport {
            fn on_error(
                head: $crate::Head,
                errors: ::std::vec::Vec<$crate::AttemptError>,
            ) -> $crate::Recovery {
                WEIR_PLUGIN.with(|plugin| $crate::OnError::on_error(&*plugin.ready(), &head, &errors))
            }
        }
        $crate::bindings::on_error::export_on_error!(WeirExport with_types_in $crate::bindings::on_error);
    };
    (@ $plugin:ty, guard_response) => {
        impl $crate::bindings::guard_response::exports::weir::policy::hook_guard_response::Guest for WeirExport {
            fn guard_response(
                head: $crate::Head,
                meta: $crate::Meta,
                view: &$crate::glue::View,
            ) -> $crate::Verdict {
                let view = $crate::glue::HostRequest(view);
                WEIR_PLUGIN.with(|plugin| {
                    $crate::GuardResponse::guard_response(&*plugin.ready(), &head, &meta, &view)
                })
            }
        }
        $crate::bindings::guard_response::export_guard_response!(
            WeirExport with_types_in $crate::bindings::guard_response
        );
    };
    (@ $plugin:ty, stream) => {
        struct WeirGuarding(::std::cell::RefCell<<$plugin as $crate::Stream>::Guard>);
        impl $crate::bindings::stream::exports::weir::policy::hook_stream::GuestStreamGuard for WeirGuarding {
            fn new(head: $crate::Head) -> Self {
                let guard = WEIR_PLUGIN.with(|plugin| $crate::Stream::stream(&*plugin.ready(), &head));
                Self(::std::cell::RefCell::new(guard))
            }
            fn push(&self, lane: $crate::Lane, text: ::std::string::String) -> $crate::StreamStep {
                $crate::StreamGuard::push(&mut *self.0.borrow_mut(), lane, &text)
            }
            fn finish_lane(&self, lane: $crate::Lane, text: ::std::string::String) -> $crate::StreamStep {
                $crate::StreamGuard::finish_lane(&mut *self.0.borrow_mut(), lane, &text)
            }
            fn finish(&self, usage: $crate::Usage) -> $crate::Closing {
                $crate::StreamGuard::finish(&mut *self.0.borrow_mut(), &usage)
            }
        }
        impl $crate::bindings::stream::exports::weir::policy::hook_stream::Guest for WeirExport {
            type StreamGuard = WeirGuarding;
        }
        $crate::bindings::stream::export_stream!(WeirExport with_types_in $crate::bindings::stream);
    };
    (@ $plugin:ty, price) => {
        impl $crate::bindings::price::exports::weir::policy::hook_price::Guest for WeirExport {
            fn quote(
                head: $crate::Head,
                target_id: ::std::string::String,
                bound: $crate::Base,
            ) -> $crate::Nanos {
                WEIR_PLUGIN.with(|plugin| $crate::Price::quote(&*plugin.ready(), &head, &target_id, &bound))
            }
            fn price(
                head: $crate::Head,
                target_id: ::std::string::String,
                base: $crate::Base,
            ) -> $crate::Charge {
                WEIR_PLUGIN.with(|plugin| $crate::Price::price(&*plugin.ready(), &head, &target_id, &base))
            }
        }
        $crate::bindings::price::export_price!(WeirExport with_types_in $crate::bindings::price);
    };
    (@ $plugin:ty, complete) => {
        impl $crate::bindings::complete::exports::weir::policy::hook_complete::Guest for WeirExport {
            fn complete(batch: ::std::vec::Vec<$crate::Summary>) {
                WEIR_PLUGIN.with(|plugin| $crate::Complete::complete(&*plugin.ready(), &batch));
            }
        }
        $crate::bindings::complete::export_complete!(WeirExport with_types_in $crate::bindings::complete);
    };

    (@host $plugin:ty, admit) => { let _ = <$plugin as $crate::Admit>::admit; };
    (@host $plugin:ty, guard) => { let _ = <$plugin as $crate::Guard>::guard; };
    (@host $plugin:ty, redact) => { let _ = <$plugin as $crate::Redact>::redact; };
    (@host $plugin:ty, route) => { let _ = <$plugin as $crate::Route>::route; };
    (@host $plugin:ty, attempt) => { let _ = <$plugin as $crate::Attempt>::attempt; };
    (@host $plugin:ty, on_error) => { let _ = <$plugin as $crate::OnError>::on_error; };
    (@host $plugin:ty, guard_response) => { let _ = <$plugin as $crate::GuardResponse>::guard_response; };
    (@host $plugin:ty, stream) => { let _ = <$plugin as $crate::Stream>::stream; };
    (@host $plugin:ty, price) => { let _ = <$plugin as $crate::Price>::price; };
    (@host $plugin:ty, complete) => { let _ = <$plugin as $crate::Complete>::complete; };
}

/// What [`export!`](crate::export!) calls; no part of the interface for authors.
pub mod glue {
    use crate::{Config, Plugin};
    use std::cell::RefCell;
    use std::rc::Rc;

    pub use crate::bindings::imports::weir::policy::request::RequestView as View;
    pub use crate::view::{HostRequest, HostTargets};

    /// The one plugin of an instance: made by `configure`, or with an empty config when a hook is asked first.
    pub struct Slot<P> {
        plugin: RefCell<Option<Rc<P>>>,
        on_panic: fn(),
    }

    impl<P: Plugin> Slot<P> {
        /// An empty slot; `on_panic` says what becomes of panics.
        #[must_use]
        pub const fn new(on_panic: fn()) -> Self {
            Self { plugin: RefCell::new(None), on_panic }
        }

        /// Makes the plugin.
        ///
        /// # Errors
        /// What the plugin says of its config.
        pub fn configure(&self, json: &str) -> Result<(), String> {
            (self.on_panic)();
            let plugin = P::configure(Config::new(json))?;
            *self.plugin.borrow_mut() = Some(Rc::new(plugin));
            #[cfg(all(target_arch = "wasm32", target_os = "unknown", feature = "allocator"))]
            crate::heap::make_room();
            Ok(())
        }

        /// Asks the plugin to test itself.
        ///
        /// # Errors
        /// What the plugin says.
        pub fn self_test(&self) -> Result<(), String> {
            self.made()?.self_test()
        }

        fn made(&self) -> Result<Rc<P>, String> {
            if self.plugin.borrow().is_none() {
                self.configure(Config::EMPTY.json())?;
            }
            self.plugin.borrow().clone().ok_or_else(|| "not configured".to_owned())
        }

        /// The plugin.
        #[must_use]
        #[allow(
            clippy::expect_used,
            clippy::missing_panics_doc,
            reason = "self-test ran the same way at load: an error here is the plugin's own fault"
        )]
        pub fn ready(&self) -> Rc<P> {
            self.made().expect("the plugin refuses an empty config")
        }
    }

    /// Tells the host where a panic happened; its message stays here.
    pub fn report_panics() {
        #[cfg(target_arch = "wasm32")]
        std::panic::set_hook(Box::new(|info| {
            if let Some(at) = info.location() {
                crate::bindings::imports::weir::policy::fault::panicked(at.file(), at.line(), at.column());
            }
        }));
    }

    /// Tells nobody.
    pub const fn stay_silent() {}
}
