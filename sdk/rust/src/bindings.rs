//! What wit-bindgen makes of `sdk/wit`: all imports once, and one world per hook whose types are those of the imports.
//!
//! A component imports only what its code reaches: the build drops the rest.

/// Every import of the contract.
pub mod imports {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package weir:sdk;
            world imports {
                import weir:policy/types@0.3.1;
                import weir:policy/request@0.3.1;
                import weir:policy/fault@0.3.1;
                import weir:policy/annotate@0.3.1;
                import weir:policy/targets@0.3.1;
                import weir:policy/tokens@0.3.1;
                import weir:policy/kv@0.3.1;
                import weir:policy/http@0.3.1;
                import weir:policy/telemetry@0.3.1;
                import weir:policy/env@0.3.1;
            }
        ",
        world: "weir:sdk/imports",
        additional_derives: [PartialEq],
        generate_all,
        generate_unused_types: true,
        disable_run_ctors_once_workaround: true,
    });
}

/// The export `lifecycle`.
pub mod lifecycle {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package weir:sdk;
            world lifecycle { export weir:policy/lifecycle@0.3.1; }
        ",
        world: "weir:sdk/lifecycle",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_lifecycle",
        default_bindings_module: "weir_sdk::bindings::lifecycle",
        disable_run_ctors_once_workaround: true,
    });
}

/// The export `hook-admit`.
pub mod admit {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package weir:sdk;
            world admit-hook { export weir:policy/hook-admit@0.3.1; }
        ",
        world: "weir:sdk/admit-hook",
        with: {
            "weir:policy/types@0.3.1": crate::bindings::imports::weir::policy::types,
        },
        additional_derives: [PartialEq],
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_admit",
        default_bindings_module: "weir_sdk::bindings::admit",
        disable_run_ctors_once_workaround: true,
    });
}

/// The export `hook-guard`.
pub mod guard {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package weir:sdk;
            world guard-hook { export weir:policy/hook-guard@0.3.1; }
        ",
        world: "weir:sdk/guard-hook",
        with: {
            "weir:policy/types@0.3.1": crate::bindings::imports::weir::policy::types,
            "weir:policy/request@0.3.1": crate::bindings::imports::weir::policy::request,
        },
        additional_derives: [PartialEq],
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_guard",
        default_bindings_module: "weir_sdk::bindings::guard",
        disable_run_ctors_once_workaround: true,
    });
}

/// The export `hook-redact`.
pub mod redact {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package weir:sdk;
            world redact-hook { export weir:policy/hook-redact@0.3.1; }
        ",
        world: "weir:sdk/redact-hook",
        with: {
            "weir:policy/types@0.3.1": crate::bindings::imports::weir::policy::types,
            "weir:policy/request@0.3.1": crate::bindings::imports::weir::policy::request,
        },
        additional_derives: [PartialEq],
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_redact",
        default_bindings_module: "weir_sdk::bindings::redact",
        disable_run_ctors_once_workaround: true,
    });
}

/// The export `hook-route`.
pub mod route {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package weir:sdk;
            world route-hook { export weir:policy/hook-route@0.3.1; }
        ",
        world: "weir:sdk/route-hook",
        with: {
            "weir:policy/types@0.3.1": crate::bindings::imports::weir::policy::types,
            "weir:policy/request@0.3.1": crate::bindings::imports::weir::policy::request,
        },
        additional_derives: [PartialEq],
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_route",
        default_bindings_module: "weir_sdk::bindings::route",
        disable_run_ctors_once_workaround: true,
    });
}

/// The export `hook-attempt`.
pub mod attempt {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package weir:sdk;
            world attempt-hook { export weir:policy/hook-attempt@0.3.1; }
        ",
        world: "weir:sdk/attempt-hook",
        with: {
            "weir:policy/types@0.3.1": crate::bindings::imports::weir::policy::types,
            "weir:policy/request@0.3.1": crate::bindings::imports::weir::policy::request,
        },
        additional_derives: [PartialEq],
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_attempt",
        default_bindings_module: "weir_sdk::bindings::attempt",
        disable_run_ctors_once_workaround: true,
    });
}

/// The export `hook-on-error`.
pub mod on_error {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package weir:sdk;
            world on-error-hook { export weir:policy/hook-on-error@0.3.1; }
        ",
        world: "weir:sdk/on-error-hook",
        with: {
            "weir:policy/types@0.3.1": crate::bindings::imports::weir::policy::types,
        },
        additional_derives: [PartialEq],
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_on_error",
        default_bindings_module: "weir_sdk::bindings::on_error",
        disable_run_ctors_once_workaround: true,
    });
}

/// The export `hook-guard-response`.
pub mod guard_response {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package weir:sdk;
            world guard-response-hook { export weir:policy/hook-guard-response@0.3.1; }
        ",
        world: "weir:sdk/guard-response-hook",
        with: {
            "weir:policy/types@0.3.1": crate::bindings::imports::weir::policy::types,
            "weir:policy/request@0.3.1": crate::bindings::imports::weir::policy::request,
        },
        additional_derives: [PartialEq],
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_guard_response",
        default_bindings_module: "weir_sdk::bindings::guard_response",
        disable_run_ctors_once_workaround: true,
    });
}

/// The export `hook-stream`.
pub mod stream {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package weir:sdk;
            world stream-hook { export weir:policy/hook-stream@0.3.1; }
        ",
        world: "weir:sdk/stream-hook",
        with: {
            "weir:policy/types@0.3.1": crate::bindings::imports::weir::policy::types,
        },
        additional_derives: [PartialEq],
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_stream",
        default_bindings_module: "weir_sdk::bindings::stream",
        disable_run_ctors_once_workaround: true,
    });
}

/// The export `hook-price`.
pub mod price {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package weir:sdk;
            world price-hook { export weir:policy/hook-price@0.3.1; }
        ",
        world: "weir:sdk/price-hook",
        with: {
            "weir:policy/types@0.3.1": crate::bindings::imports::weir::policy::types,
        },
        additional_derives: [PartialEq],
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_price",
        default_bindings_module: "weir_sdk::bindings::price",
        disable_run_ctors_once_workaround: true,
    });
}

/// The export `hook-complete`.
pub mod complete {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package weir:sdk;
            world complete-hook { export weir:policy/hook-complete@0.3.1; }
        ",
        world: "weir:sdk/complete-hook",
        with: {
            "weir:policy/types@0.3.1": crate::bindings::imports::weir::policy::types,
        },
        additional_derives: [PartialEq],
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_complete",
        default_bindings_module: "weir_sdk::bindings::complete",
        disable_run_ctors_once_workaround: true,
    });
}
